// Deployments: reading, promoting and failing them.
import { DENIED, json, text } from '#src/development/http/answer.ts'
import type { Answer } from '#src/development/http/answer.ts'
import { blocking } from '#src/development/http/blocking.ts'
import { isPage, pageOf } from '#src/development/http/page.ts'
import type { ApiRequest } from '#src/development/http/request.ts'
import type { Evaluation } from '#src/development/schedule/operations.ts'
import { deploymentJson } from '#src/development/state/answers.ts'

/** `GET /v1/deployments`. */
export function listDeployments(request: ApiRequest): Promise<Answer> | Answer {
  const { namespace, caller, query, cluster: { store } } = request
  if (namespace !== '*' && !caller.may(namespace, 'read-job')) return DENIED
  const index = (): number => store.indexOf('deployments')
  return blocking(request, {
    watch: ['deployments'],
    index,
    answer: () => {
      const rows = store.all('deployments').filter((each) => (namespace === '*' ? caller.may(each.namespace, 'read-job') : each.namespace === namespace))
      const page = pageOf(rows, query, ({ id }) => id, deploymentJson)
      return isPage(page) ? json(page.elements.map(deploymentJson), { index: index(), ...(page.nextToken === undefined ? {} : { nextToken: page.nextToken }) }) : page
    },
  })
}

/** `GET /v1/deployment/:id`. */
export function readDeployment(request: ApiRequest): Promise<Answer> | Answer {
  const { path: [, id = ''], caller, cluster: { store } } = request
  if (!caller.may(store.get('deployments', id)?.namespace ?? 'default', 'read-job')) return DENIED
  const index = (): number => store.get('deployments', id)?.modifyIndex ?? store.indexOf('deployments')
  return blocking(request, {
    watch: [`deployments/${id}`],
    index,
    answer: () => {
      const deployment = store.get('deployments', id)
      return deployment === undefined ? text(404, 'deployment not found', { index: index() }) : json(deploymentJson(deployment), { index: index() })
    },
  })
}

/** `POST /v1/deployment/promote/:id`. */
export function promoteDeployment({ path: [, , id = ''], caller, cluster: { operations } }: ApiRequest): Answer {
  if (!caller.may(operations.deployment(id).namespace, 'submit-job')) return DENIED
  return evaluationAnswer(operations.promote(id))
}

/** `POST /v1/deployment/fail/:id`. */
export function failDeployment({ path: [, , id = ''], caller, cluster: { operations } }: ApiRequest): Answer {
  if (!caller.may(operations.deployment(id).namespace, 'submit-job')) return DENIED
  return evaluationAnswer(operations.fail(id))
}

function evaluationAnswer({ id, index }: Evaluation): Answer {
  return { ...json({ EvalID: id, EvalCreateIndex: index, DeploymentModifyIndex: index, RevertedJobVersion: null, Index: index, LastContact: 0, KnownLeader: false, NextToken: '' }), index }
}
