// The states of an allocation's tasks in the form of the API.
import { toNanoseconds, toTimestamp } from '#src/development/clock.ts'
import type { TaskEvent, TaskState } from './rows.ts'

/** `TaskStates` of an allocation. */
export function taskStatesJson(tasks: Readonly<Record<string, TaskState>>): object {
  return Object.fromEntries(Object.entries(tasks).map(([name, { state, failed, restarts, lastRestart, startedAt, finishedAt, events }]) => [name, {
    State: state,
    Failed: failed,
    Restarts: restarts,
    LastRestart: timeOrNull(lastRestart),
    StartedAt: timeOrNull(startedAt),
    FinishedAt: timeOrNull(finishedAt),
    Events: events.map(eventJson),
    Paused: '',
  }]))
}

const timeOrNull = (ms: number | undefined): string | null => (ms === undefined ? null : toTimestamp(ms))

function eventJson({ type, time, message, details, exitCode = 0, signal = 0, failsTask = false, killTimeoutMs = 0 }: TaskEvent): object {
  const reason = details['restart_reason'] ?? ''
  return {
    Type: type, Time: toNanoseconds(time), Message: details['message'] ?? '', DisplayMessage: message, Details: details, FailsTask: failsTask, RestartReason: reason, SetupError: '',
    DriverError: '', DriverMessage: '', ExitCode: exitCode, Signal: signal, KillReason: '', KillTimeout: killTimeoutMs * 1e6, KillError: '',
    StartDelay: Number(details['start_delay'] ?? 0), DownloadError: '', ValidationError: '', DiskLimit: 0, FailedSibling: '', VaultError: '', TaskSignal: '', TaskSignalReason: '', GenericSource: '',
  }
}
