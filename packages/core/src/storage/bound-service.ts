import type { P2PId, P2PRecord } from "../model/record.ts";
import type { IdRef } from "./id-ref.ts";
import type { P2PQuery } from "./query.ts";
import type { DeleteOptions, DeleteRef, LookUpOptions, P2PDataTransferService } from "./service.ts";

/**
 * The same service as a plain object, whose methods can be replaced one by one. It has no raw lanes: they would lead
 * past what is put in the place of the others.
 *
 * @example
 * const slow = { ...boundService(service), ping: async (signal) => (await sleep(1000), service.ping(signal)) };
 */
export function boundService(service: P2PDataTransferService): P2PDataTransferService {
  return {
    capabilities: service.capabilities,
    readFromSource: (query, options) => service.readFromSource(query, options),
    writeToTarget: (records, options) => service.writeToTarget(records, options),
    count: (query, signal) => service.count(query, signal),
    identity: (signal) => service.identity(signal),
    ...(service.schema && { schema: (query: P2PQuery, signal: AbortSignal) => service.schema!(query, signal) }),
    ...(service.comparable && { comparable: (record: P2PRecord) => service.comparable!(record) }),
    ...(service.idForm && { idForm: (id: P2PId) => service.idForm!(id) }),
    ...(service.lookUp && {
      lookUp: (refs: readonly IdRef[], query: P2PQuery, options: LookUpOptions) =>
        service.lookUp!(refs, query, options),
    }),
    ...(service.deleteFromTarget && {
      deleteFromTarget: (refs: readonly DeleteRef[], options: DeleteOptions) =>
        service.deleteFromTarget!(refs, options),
    }),
    ...(service.changes && { changes: service.changes }),
    ...(service.leases && { leases: service.leases }),
    ...(service.extent && { extent: service.extent }),
    ...(service.sequential && { sequential: service.sequential }),
    partitions: (query, parts, signal) => service.partitions(query, parts, signal),
    ping: (signal) => service.ping(signal),
    close: () => service.close(),
  };
}
