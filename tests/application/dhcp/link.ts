/**
 * A link with stacks on virtual time, for tests of DHCP: who is on it can be watched, and can be made to lose messages.
 *
 * @module
 */

import { createWire, IpAddress, type Nic, SeededRandom, Stack } from "../../../mod.ts";
import {
  DhcpClient,
  type DhcpClientOptions,
  DhcpServer,
  type DhcpServerOptions,
} from "../../../stack/application/dhcp.ts";
import {
  decodeMessage,
  type DhcpMessage,
  type DhcpMessageParts,
  encodeMessage,
} from "../../../stack/application/dhcp/message.ts";
import { DhcpPort } from "../../../stack/dhcp_format.ts";
import { DeviceWrapper } from "../../../stack/link/device_wrapper.ts";
import type { Packet } from "../../../stack/packet.ts";
import { Verdict } from "../../../stack/protocol.ts";
import { VirtualTime } from "../../helpers/virtual_time.ts";
import { assertClosed } from "../../kernel/host.ts";

export const ip = (text: string): IpAddress => IpAddress.parse(text);

/** The end of a wire at which some messages of DHCP are lost on their way out. */
class LossyEnd extends DeviceWrapper {
  /** Whether a message is to be lost. */
  loses: (message: DhcpMessage) => boolean = () => false;

  override transmit(packet: Packet): Verdict {
    const message = messageIn(packet.bytes.subarray(packet.head, packet.tail));
    if (message === null || !this.loses(message)) return this.inner.transmit(packet);
    packet.release();
    return Verdict.done;
  }
}

/** The message of DHCP in a frame, or null. */
function messageIn(frame: Uint8Array): DhcpMessage | null {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (frame.length < 42 || view.getUint16(12) !== 0x0800 || frame[23] !== 17) return null;
  const port = view.getUint16(36);
  return port === DhcpPort.client || port === DhcpPort.server ? decodeMessage(frame.subarray(42)) : null;
}

/** A stack that has no address yet, and one that is a server's. */
export class Link {
  readonly time: VirtualTime = new VirtualTime();
  readonly host: Stack = this.#stack(1);
  readonly router: Stack = this.#stack(2);
  readonly hostEnd: LossyEnd;
  readonly routerEnd: LossyEnd;
  readonly nic: Nic;
  readonly routerNic: Nic;

  constructor() {
    const [left, right] = createWire();
    this.hostEnd = new LossyEnd(left);
    this.routerEnd = new LossyEnd(right);
    this.nic = this.host.attach(this.hostEnd);
    this.routerNic = this.router.attach(this.routerEnd, { addresses: ["10.0.0.1/24"] });
  }

  #stack(seed: number): Stack {
    return this.time.add(
      new Stack({ timers: this.time.timers, random: new SeededRandom(seed), eventLoop: false }),
    );
  }

  /** A client on the host, with the chance of a seed and, unless told otherwise, without probing. */
  client(options: DhcpClientOptions = {}): DhcpClient {
    return new DhcpClient(this.host, this.nic, { probe: false, random: new SeededRandom(3), ...options });
  }

  /** A server on the router, unless told otherwise without probing. */
  server(options: Partial<DhcpServerOptions> = {}): DhcpServer {
    return new DhcpServer(this.router, this.routerNic, {
      range: [ip("10.0.0.100"), ip("10.0.0.103")],
      probe: false,
      ...options,
    });
  }

  /** The addresses of the host's interface. */
  get addresses(): string[] {
    return this.nic.addresses.map(String);
  }

  /** The host's routes by that interface. */
  get routes(): string[] {
    return this.host.routes.list(4).filter(({ nic }) => nic === this.nic).map(({ prefix, gateway }) =>
      gateway === null ? String(prefix) : `${prefix} via ${gateway}`
    );
  }
}

/** Registers a test on a link, of which nothing is left in the end. */
export function linkTest(name: string, body: (link: Link) => Promise<void> | void): void {
  Deno.test(name, async () => {
    const link = new Link();
    await body(link);
    await link.time.waitFor(Promise.all([link.host.close(), link.router.close()]));
    assertClosed(link.host);
    assertClosed(link.router);
  });
}

/** A message that was seen, and when. */
export interface Seen extends DhcpMessage {
  readonly at: number;
  readonly from: string;
}

/** A server that does what a test says, and notes what it receives. */
export class ScriptedPeer {
  readonly seen: Seen[] = [];
  readonly #link: Link;
  readonly #socket;

  /** Answers with what `script` returns, if anything; the fields that identify the exchange are filled in. */
  constructor(link: Link, script: (message: Seen, count: number) => Partial<DhcpMessageParts> | null) {
    this.#link = link;
    const { udp } = link.router;
    const socket = this.#socket = udp.bind({ local: { address: IpAddress.unspecified4, port: DhcpPort.server } });
    socket.settings.broadcast = true;
    const sender = { address: IpAddress.unspecified4, port: 0 };
    const timer = link.time.timers.create(() => {
      while (socket.receivable > 0) {
        const bytes = new Uint8Array(socket.nextLength);
        socket.receive(bytes, sender);
        const seen = { ...decodeMessage(bytes)!, at: link.time.now, from: String(sender.address) };
        this.seen.push(seen);
        const answer = script(seen, this.seen.length);
        if (answer !== null) this.send(seen, answer);
      }
    });
    socket.onReceivable = () => timer.start(0);
    socket.onClosed = () => timer.dispose();
  }

  /** Sends an answer to a message, to everybody. */
  send(to: DhcpMessage, answer: Partial<DhcpMessageParts>): void {
    const { transaction, clientHardware } = to;
    const payload = encodeMessage({
      operation: 2,
      type: 5,
      transaction,
      clientHardware,
      options: new Map(),
      ...answer,
    });
    const { udp } = this.#link.router;
    const { path } = udp.findPath(IpAddress.broadcast4, null, this.#link.routerNic)!;
    udp.send(payload, { path, sourcePort: DhcpPort.server, destinationPort: DhcpPort.client });
  }

  close(): void {
    this.#socket.close();
  }
}
