// The suite of Nomad's API, on a real Nomad.
import { startRealNomad } from '#test/support/real-nomad.ts'
import { describeNomad } from './nomad-api.ts'

describeNomad('a real Nomad', startRealNomad, { checkMs: 1000 })
