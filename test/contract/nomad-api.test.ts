// The suite of Nomad's API, on the development registry.
import { startRegistry } from '#src/development/registry.ts'
import { describeNomad } from './nomad-api.ts'

describeNomad('the development registry', () => startRegistry(), { checkMs: 200 })
