// The measure, on a real Nomad.
import { startRealNomad } from '#test/support/real-nomad.ts'
import { describeDeployments } from './deployments.ts'

describeDeployments('a real Nomad', startRealNomad)
