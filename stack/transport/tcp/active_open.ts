/**
 * The active open (RFC 9293 section 3.10.1): what a connection of ours needs before its SYN goes out, and what the answer
 * means where that SYN asked for Fast Open, or carried data (RFC 7413 section 4.2.1).
 *
 * @module
 */

import { IpAddress } from "../../address.ts";
import { makeError } from "../../errors.ts";
import type { Networks } from "../../network/path.ts";
import { add, after } from "../../sequence.ts";
import { type Endpoint, formatEndpoint } from "../endpoint.ts";
import type { FlowTable } from "../flow_table.ts";
import { type PortReservation, type Ports, Sharing } from "../ports.ts";
import { Connection } from "./connection.ts";
import type { TcpContext } from "./context.ts";
import { protocolNumber } from "./header.ts";
import type { Segment } from "./segment.ts";
import type { TimeWaitTable } from "./time_wait.ts";
import type { ConnectionSettings, ConnectRequest } from "./user.ts";

/** Opens connections that users ask for. */
export class ActiveOpen {
  readonly #context: TcpContext<Connection>;
  /** Where the last connection went. */
  #remote: Endpoint = { address: IpAddress.unspecified4, port: 0 };
  readonly #networks: Networks;
  readonly #ports: Ports;
  readonly #flows: FlowTable<Connection>;
  readonly #timeWait: TimeWaitTable;

  /** Adds new connections to `flows`, from ports that neither that nor `timeWait` forbids. */
  constructor(
    context: TcpContext<Connection>,
    networks: Networks,
    ports: Ports,
    flows: FlowTable<Connection>,
    timeWait: TimeWaitTable,
  ) {
    this.#context = context;
    this.#networks = networks;
    this.#ports = ports;
    this.#flows = flows;
    this.#timeWait = timeWait;
  }

  /** As {@linkcode TcpUserCalls.connect}. The network chooses our address if need be (RFC 9293 section 3.9.1.1). */
  connect(request: ConnectRequest, settings: Readonly<ConnectionSettings>): Connection {
    const remote = this.#shared(request.remote);
    const { address } = remote;
    if (address.isMulticast || address.isBroadcast || address.isUnspecified || remote.port === 0) {
      throw makeError("AddrNotAvailable", `Cannot connect to ${formatEndpoint(remote)}: it is no single host's port`);
    }
    const path = this.#networks.of(address.family)?.findPath({
      destination: address,
      protocol: protocolNumber,
      source: request.localAddress ?? null,
      nic: request.nic ?? null,
    });
    if (!path) {
      throw makeError(
        "NetworkUnreachable",
        `Cannot connect to ${formatEndpoint(remote)}: there is no route to it; add an address or a gateway`,
      );
    }
    const reservation = this.#reserve(path.source, remote, request.localPort ?? 0);
    // What is reserved says where our end is.
    const connection = new Connection(this.#context, reservation, remote, path, settings, false);
    connection.reservation = reservation;
    this.#flows.add(connection);
    this.#context.counters.activeOpens++;
    if (path.neighbor.destination === null && path.neighbor.confirm !== undefined) connection.sender.rtt.expectWait();
    connection.open(request.fastOpen);
    return connection;
  }

  /** Connections to one place in a row share what says where it is. */
  #shared(remote: Endpoint): Endpoint {
    const { address, port } = this.#remote;
    if (port !== remote.port || !address.equals(remote.address)) this.#remote = remote;
    return this.#remote;
  }

  #reserve(address: IpAddress, remote: Endpoint, port: number): PortReservation {
    const request = { protocol: protocolNumber, address, sharing: Sharing.flow };
    const free = (candidate: number) => {
      const local = { address, port: candidate };
      return !this.#flows.has(local, remote) && !this.#timeWait.has(local, remote);
    };
    if (port !== 0) {
      const reservation = free(port) ? this.#ports.reserve(request, port) : null;
      if (reservation !== null) return reservation;
      throw makeError("AddrInUse", `Cannot connect from port ${port} to ${formatEndpoint(remote)}: it is in use`);
    }
    const reservation = this.#ports.reserveEphemeral({ ...request, remote, available: free });
    if (reservation !== null) return reservation;
    throw makeError(
      "AddrNotAvailable",
      `Cannot connect to ${formatEndpoint(remote)}: all ephemeral ports are taken; close connections`,
    );
  }
}

/** The peer has sent SYN and ACK, whose acknowledgement has been taken. */
export function fastOpenAnswered({ fastOpen, sender, context, remote }: Connection, { options }: Segment): void {
  if (fastOpen === null) return;
  const { cache } = context.fastOpen;
  const { address } = remote;
  if (!fastOpen.lost) cache.answered(address, options.maximumSegmentSize);
  if (options.fastOpenBytes > 0) {
    const cookie = options.fastOpenCookie.slice(0, options.fastOpenBytes);
    cache.learn(address, cookie, options.fastOpenExperimental, options.maximumSegmentSize);
  } else if (options.fastOpenBroken && (cache.get(address)?.cookie ?? null) === null) {
    // The answer would be as broken the next time.
    cache.refused(address);
  }
  if (sender.bytesSent === 0) return;
  fastOpen.succeeded = after(sender.sndUna, add(sender.initialSequence, 1));
  if (fastOpen.succeeded) context.counters.fastOpenActive++;
  else if (options.fastOpenBytes <= 0) cache.refused(address);
  if (sender.scoreboard.count === 0) return;
  // What the server did not take was not lost on the way: it is sent again at once, and the window stays.
  context.counters.fastOpenActiveRefused++;
  sender.recovery.segmentsTooBig(0);
}
