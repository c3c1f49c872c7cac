// What Nomad fills in where a job says nothing: every key that it answers with (recorded), and its default.

const SECOND = 1e9
const MINUTE = 60 * SECOND

export const checkDefaults = {
  AddressMode: '', Args: null, Body: '', CheckRestart: null, Command: '', Expose: false, FailuresBeforeCritical: 0, FailuresBeforeWarning: 0, GRPCService: '',
  GRPCUseTLS: false, Header: null, InitialStatus: '', Interval: 0, Method: '', Name: '', Notes: '', OnUpdate: 'require_healthy', Path: '', PortLabel: '', Protocol: '',
  SuccessBeforePassing: 0, TLSServerName: '', TLSSkipVerify: false, TaskName: '', Timeout: 0, Type: '',
}

export const serviceDefaults = {
  Address: '', AddressMode: 'auto', CanaryMeta: null, CanaryTags: null, Checks: null, Cluster: 'default', Connect: null, EnableTagOverride: false, Identity: null, Kind: '',
  Meta: null, Name: '', Namespace: 'default', OnUpdate: 'require_healthy', PortLabel: '', Provider: 'consul', TaggedAddresses: null, Tags: null, TaskName: '', Weights: null,
}

export const restartDefaults = { Attempts: 2, Delay: 15 * SECOND, Interval: 30 * MINUTE, Mode: 'fail', RenderTemplates: false }

export const rescheduleDefaults = { Attempts: 0, Delay: 30 * SECOND, DelayFunction: 'exponential', Interval: 0, MaxDelay: 60 * MINUTE, Unlimited: true }

export const updateDefaults = {
  AutoPromote: false, AutoRevert: false, Canary: 0, HealthCheck: 'checks', HealthyDeadline: 5 * MINUTE, MaxParallel: 1, MinHealthyTime: 10 * SECOND,
  ProgressDeadline: 10 * MINUTE, Stagger: 30 * SECOND,
}

/** Of the job itself: what its groups did not override stands there. */
export const jobUpdateDefaults = {
  AutoPromote: false, AutoRevert: false, Canary: 0, HealthCheck: '', HealthyDeadline: 0, MaxParallel: 1, MinHealthyTime: 0, ProgressDeadline: 0, Stagger: 30 * SECOND,
}

export const migrateDefaults = { HealthCheck: 'checks', HealthyDeadline: 5 * MINUTE, MaxParallel: 1, MinHealthyTime: 10 * SECOND }

export const disconnectDefaults = { LostAfter: null, Reconcile: 'best_score', Replace: true, StopOnClientAfter: null }

export const resourceDefaults = {
  CPU: 100, Cores: 0, Devices: null, DiskMB: 0, IOPS: 0, MemoryMB: 300, MemoryMaxMB: 0, NUMA: null, Networks: null, SecretsMB: 0,
}

export const identityDefaults = {
  Audience: ['nomadproject.io'], ChangeMode: '', ChangeSignal: '', Env: false, ExtraClaims: null, File: false, Filepath: '', Name: 'default', ServiceName: '', TTL: 0,
}

export const taskDefaults = {
  Actions: null, Affinities: null, Artifacts: null, CSIPluginConfig: null, Config: {}, Constraints: null, Consul: null, DispatchPayload: null, Driver: '', Env: null,
  Identities: null, Identity: identityDefaults, KillSignal: '', KillTimeout: 5 * SECOND, Kind: '', Leader: false, Lifecycle: null,
  LogConfig: { Disabled: false, MaxFileSizeMB: 10, MaxFiles: 10 }, Meta: null, Name: '', Resources: resourceDefaults, RestartPolicy: restartDefaults, ScalingPolicies: null,
  Schedule: null, Secrets: null, Services: null, ShutdownDelay: 0, Templates: null, User: '', Vault: null, VolumeMounts: null,
}

export const groupDefaults = {
  Affinities: null, Constraints: null, Consul: null, Count: 1, Disconnect: null, EphemeralDisk: { Migrate: false, SizeMB: 300, Sticky: false }, MaxClientDisconnect: null,
  MaxRunDuration: null, Meta: null, Migrate: migrateDefaults, Name: '', Networks: null, PreventRescheduleOnLost: false, ReschedulePolicy: rescheduleDefaults,
  RestartPolicy: restartDefaults, Scaling: null, Services: null, ShutdownDelay: null, Spreads: null, StopAfterClientDisconnect: null, Tasks: null, Update: updateDefaults,
  Volumes: null,
}

export const jobDefaults = {
  Affinities: null, AllAtOnce: false, Constraints: null, ConsulNamespace: '', CreateIndex: 0, Datacenters: ['*'], DispatchIdempotencyToken: '', Dispatched: false, ID: '',
  JobModifyIndex: 0, Meta: null, ModifyIndex: 0, Multiregion: null, Name: '', Namespace: 'default', NodePool: 'default', NomadTokenID: '', ParameterizedJob: null, ParentID: '',
  Payload: null, Periodic: null, Priority: 50, Region: 'global', Spreads: null, Stable: false, Status: 'pending', StatusDescription: '', Stop: false, SubmitTime: 0,
  TaskGroups: null, Type: 'service', UI: null, Update: jobUpdateDefaults, VaultNamespace: '', Version: 0, VersionTag: null,
}
