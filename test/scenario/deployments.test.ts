// The measure, on the development registry at the pace of a real Nomad.
import { recorded } from '#src/development/pace.ts'
import { startRegistry } from '#src/development/registry.ts'
import { describeDeployments } from './deployments.ts'

describeDeployments('the development registry', () => startRegistry({ pace: recorded }))
