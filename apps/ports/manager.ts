/**
 * Steps through requests to a port manager, and says what became of each.
 *
 * @module
 */

import { formatEndpoint, type PortReservation, type Ports, Sharing } from "../../mod.ts";
import { protocolText, type Request, type Reserve } from "./request.ts";

/** What became of a step. */
export interface StepResult {
  /** The step, from 1. */
  readonly step: number;
  /** What was asked, as it was given. */
  readonly request: string;
  /** Whether it was granted. */
  readonly granted: boolean;
  /** What was granted, or who is in the way. */
  readonly result: string;
}

/** A reservation, as data. */
export interface HeldPort {
  /** `tcp` or `udp`. */
  readonly protocol: string;
  /** The local address; the unspecified address stands for all. */
  readonly address: string;
  /** The port. */
  readonly port: number;
  /** Who else may hold it: `exclusive`, `reuse` or `flow`. */
  readonly sharing: string;
}

const sharingNames: Readonly<Record<Sharing, string>> = {
  [Sharing.exclusive]: "exclusive",
  [Sharing.reuse]: "reuse",
  [Sharing.flow]: "flow",
};

/** Takes one step after the other on the ports of a stack. */
export class PortSteps {
  readonly #ports: Ports;
  readonly #granted = new Map<number, PortReservation>();
  #steps = 0;

  /** Takes the ports. */
  constructor(ports: Ports) {
    this.#ports = ports;
  }

  /** Takes a step. */
  take(request: Request, text: string): StepResult {
    const step = ++this.#steps;
    if (request.kind === "reserve") return { step, request: text, ...this.#reserve(request, step) };
    const reservation = this.#granted.get(request.step);
    if (reservation === undefined) {
      return { step, request: text, granted: false, result: `step ${request.step} holds nothing` };
    }
    reservation.release();
    this.#granted.delete(request.step);
    return { step, request: text, granted: true, result: `gave back ${describe(reservation)}` };
  }

  /** What is held now. */
  held(): HeldPort[] {
    return this.#ports.list().map(({ protocol, address, port, sharing }) => ({
      protocol: protocolText(protocol),
      address: address.toString(),
      port,
      sharing: sharingNames[sharing],
    }));
  }

  /** Gives back what is held. */
  close(): void {
    for (const reservation of this.#granted.values()) reservation.release();
    this.#granted.clear();
  }

  #reserve(request: Reserve, step: number): { granted: boolean; result: string } {
    const { protocol, address, port, sharing, remote } = request;
    const common = { protocol, address, sharing };
    const reservation = port === 0
      ? this.#ports.reserveEphemeral({ ...common, ...(remote === null ? {} : { remote }) })
      : this.#ports.reserve(common, port);
    if (reservation === null) return { granted: false, result: this.#obstacle(request) };
    this.#granted.set(step, reservation);
    const to = remote === null ? "" : ` to ${formatEndpoint(remote)}`;
    return { granted: true, result: `${describe(reservation)}${to}` };
  }

  #obstacle({ protocol, address, port }: Reserve): string {
    if (port === 0) return "all ephemeral ports are taken";
    const others = this.#ports.list().filter((other) =>
      other.protocol === protocol && other.port === port &&
      (address.isUnspecified || other.address.isUnspecified || other.address.equals(address))
    );
    return `in use: ${others.map(describe).join(", ")}`;
  }
}

function describe({ protocol, address, port, sharing }: PortReservation): string {
  return `${protocolText(protocol)} ${formatEndpoint({ address, port })} ${sharingNames[sharing]}`;
}
