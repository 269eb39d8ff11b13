/**
 * What the stack under test starts with: the settings of the command line, and those that a script makes in the manner
 * of `sysctl`.
 *
 * @module
 */

import { Cubic } from "../../../stack/transport/tcp/congestion/cubic.ts";
import { Reno } from "../../../stack/transport/tcp/congestion/reno.ts";
import type { CongestionControl } from "../../../stack/transport/tcp/congestion/control.ts";
import { ScriptSkipped } from "./failure.ts";
import { FastOpenBits, parseFastOpenKeys, usualFastOpenKey } from "./fast_open.ts";
import type { ConnectionSettings } from "../../../stack/transport/tcp/user.ts";

/** Congestion control algorithms by the names that scripts use. */
const algorithms: Readonly<Record<string, () => CongestionControl>> = {
  cubic: () => new Cubic(),
  reno: () => new Reno(),
  newreno: () => new Reno(),
};

/** Settings of the stack under test. They may change while a script runs. */
export class Profile {
  /** Offer and accept timestamps. */
  timestamps: boolean = true;
  /** Offer and accept selective acknowledgements. */
  selectiveAcknowledgements: boolean = true;
  /** Offer and accept window scaling. */
  windowScaling: boolean = true;
  /** Name of the congestion control algorithm. */
  congestionControl: string = "cubic";
  /** Milliseconds in TIME-WAIT. */
  timeWait: number = 60_000;
  /** Answer every suspicious segment, without a limit. Scripts send many at one moment. */
  unlimitedChallenges: boolean = true;
  /** Explicit congestion notification: ask for it, agree when a peer asks, or neither. */
  ecn: "request" | "accept" | "off" = "accept";
  /** Slow down less for a congestion mark than for a loss (RFC 8511). */
  alternativeBackoff: boolean = false;
  /** Answer with SYN cookies when a listener's queue is full. */
  synCookies: boolean = true;
  /** Believe every RST in the window (RFC 793), not only the exact one (RFC 5961). */
  trustResets: boolean = false;
  /** Reset a connection for a SYN in its window (RFC 793), instead of asking (RFC 5961). */
  trustSyns: boolean = false;
  /** Drop segments with both SYN and FIN. */
  dropSynFin: boolean = false;
  /** Give a handshake up when ICMP says that the peer cannot be reached. */
  heedNetworkErrors: boolean = true;
  /** Where Fast Open is allowed: {@linkcode FastOpenBits}. */
  fastOpen: number = FastOpenBits.client | FastOpenBits.server;
  /** The keys of Fast Open's cookies; null for a secret of the stack's own. */
  fastOpenKeys: readonly Uint8Array[] | null = null;
  /** How much more the send buffer takes than SO_SNDBUF says: Linux allows for its own needs. */
  sendBufferFactor: number = 1;
  /** Packets that no event before the last one expects fail the script. Linux's scripts leave those out that follow. */
  countsSurplus: boolean = true;
  /** The order of options and their padding count. No RFC prescribes them, and systems differ. */
  countsOptionOrder: boolean = true;
  /** Values of timestamps count, as milliseconds; otherwise each only names what was sent, to be echoed later. */
  countsTimestamps: boolean = true;
  /** What SO_RCVBUF of a socket without a connection is, where that is not the most that a buffer can become. */
  receiveSpace: number | null = null;
  /** Bytes of a full segment without options, to which FreeBSD rounds its receive buffer. */
  fullSegmentBytes: number = 1460;
  /**
   * What connections start with. Scripts expect that all that the window allows is sent at once, and the same segments
   * again when they time out.
   */
  readonly settings: Partial<ConnectionSettings> = { pacing: false, pathMtuProbing: false };
  /** The names of all that has been set: nothing is assumed of them any more. */
  readonly #chosen = new Set<string>();
  /** Called after a change. */
  onChange: (() => void) | null = null;

  /** State for a new connection. */
  makeCongestionControl(): CongestionControl {
    return (algorithms[this.congestionControl] ?? algorithms.cubic!)();
  }

  /** Chooses a congestion control algorithm and returns whether there is one of that name. */
  chooseCongestionControl(name: string): boolean {
    if (algorithms[name] === undefined) return false;
    this.congestionControl = name;
    return true;
  }

  /**
   * Sets a value by its name, as `sysctl` of Linux or FreeBSD calls it or as this program's `--set` does, and returns
   * whether the stack has such a thing.
   */
  set(name: string, value: string): boolean {
    const dotted = name.replaceAll("/", ".");
    if (/^(?:net\.inet6?|kern\.ipc)\./.test(dotted)) this.assume("freebsd");
    const short = dotted.replace(
      /^(?:proc\.sys\.)?(?:net\.(?:ipv4|ipv6|inet\.tcp|inet|core)\.|kern\.ipc\.)?/,
      "",
    );
    const change = changes[short];
    if (change === undefined) return false;
    this.#chosen.add(meanings[short] ?? short);
    const known = change(this, value.trim().replaceAll(/^["']|["']$/g, "")) !== false;
    this.onChange?.();
    return known;
  }

  /** Makes settings that the scripts of a system take for granted, as far as nothing else was said of them. */
  assume(system: System): void {
    if (system === "linux") {
      this.sendBufferFactor = 2;
      this.countsSurplus = false;
      this.countsTimestamps = false;
    } else {
      this.countsOptionOrder = false;
    }
    this.#assume(habits[system]);
    this.onChange?.();
  }

  #assume(settings: readonly (readonly [name: string, value: string])[]): void {
    for (const [name, value] of settings) {
      const meaning = meanings[name] ?? name;
      if (this.#chosen.has(meaning)) continue;
      this.#chosen.add(meaning);
      changes[name]!(this, value);
    }
  }
}

/** A system whose scripts take something for granted. */
export type System = keyof typeof habits;

const habits = {
  // Acknowledgements are delayed from the first segment on, buffers may grow to 2 MiB, and a full accept queue does not
  // keep the system from remembering handshakes.
  freebsd: [["quick-acks", "0"], ["receive-buffer", "2097152"], ["recvspace", "65536"], ["syn-cookies", "0"]],
  // What the `defaults.sh` sets that scripts begin with.
  linux: [
    ["receive-buffer", String(15 * 1024 * 1024)],
    ["tcp_ecn", "0"],
    ["tcp_syn_retries", "6"],
    ["tcp_fastopen", String(FastOpenBits.client | FastOpenBits.server | FastOpenBits.allListeners)],
    ["tcp_fastopen_key", usualFastOpenKey],
  ],
} as const;

/** Names of settings of systems, and this program's own for what they set. */
const meanings: Readonly<Record<string, string>> = {
  recvspace: "receive-window",
  maxsockbuf: "receive-buffer",
  tcp_rmem: "receive-buffer",
  syncookies: "syn-cookies",
  tcp_syncookies: "syn-cookies",
  "ecn.enable": "tcp_ecn",
};

type Change = (profile: Profile, value: string) => void | boolean;

/** The last of several numbers: the limit, where there are a least, a first and a greatest value. */
function last(value: string): number {
  return Number(withoutArithmetic(value).trim().split(/\s+/).at(-1));
}

/** A text with the products in it worked out that a shell would work out: `$((15*1024*1024))`. */
function withoutArithmetic(text: string): string {
  return text.replaceAll(
    /\$\(\(([\d\s*]+)\)\)/g,
    (_, product: string) => String(product.split("*").reduce((total, factor) => total * Number(factor), 1)),
  );
}

/** The size of a buffer, or null where a value is none. */
function bufferBytes(value: string): number | null {
  const bytes = Math.min(last(value), largestBuffer);
  return bytes >= 1 ? bytes : null;
}

const isOn = (value: string) => Number(value) !== 0;

const ecn: Change = (profile, value) => {
  profile.ecn = value === "0" ? "off" : value === "1" ? "request" : "accept";
};

/** Linux's values above 2 allow accurate ECN, which changes nothing as long as nobody asks for it. */
const linuxEcn: Change = (profile, value) => {
  if (value === "3") throw new ScriptSkipped("the stack has no accurate ECN (RFC 9768)");
  ecn(profile, value === "4" ? "1" : value);
};

const scalingAndTimestamps: Change = (profile, value) => {
  profile.windowScaling = profile.timestamps = isOn(value);
};

const flag = (name: Flag): Change => (profile, value) => {
  profile[name] = isOn(value);
};

/** The parts of a profile that are on or off. */
type Flag = {
  [name in keyof Profile]: Profile[name] extends boolean ? name : never;
}[keyof Profile];

/** FreeBSD's switches of Fast Open. */
const fastOpenBit = (bit: number): Change => (profile, value) => {
  profile.fastOpen = isOn(value) ? profile.fastOpen | bit : profile.fastOpen & ~bit;
};

/** A setting of connections that is a number, in the stack's units times `scale`. */
const setting = (name: NumberSetting, scale: number): Change => (profile, value) => {
  profile.settings[name] = Number(value) * scale;
};

/** The names of settings that are numbers. */
type NumberSetting = {
  [name in keyof ConnectionSettings]: ConnectionSettings[name] extends number ? name : never;
}[keyof ConnectionSettings];

/** The largest buffer that the stack has, in bytes. */
const largestBuffer = 2 ** 30;

const receiveBuffer: Change = (profile, value) => {
  const bytes = bufferBytes(value);
  if (bytes === null) return false;
  profile.settings.receiveBufferBytes = bytes;
};

/** FreeBSD's first receive buffer, in whole segments once a connection is there. */
const receiveSpace: Change = (profile, value) => {
  profile.receiveSpace = Number(value);
  const { fullSegmentBytes } = profile;
  profile.settings.initialReceiveWindow = Math.ceil(Number(value) / fullSegmentBytes) * fullSegmentBytes;
};

const sendBuffer: Change = (profile, value) => {
  const bytes = bufferBytes(value);
  if (bytes === null) return false;
  profile.settings.sendBufferBytes = bytes;
};

const system: Change = (profile, value) => {
  if (!Object.hasOwn(habits, value)) return false;
  profile.assume(value as System);
};

const congestion: Change = (profile, value) => profile.chooseCongestionControl(value);

const changes: Readonly<Record<string, Change>> = {
  system,
  tcp_sack: flag("selectiveAcknowledgements"),
  "sack.enable": flag("selectiveAcknowledgements"),
  tcp_ecn: linuxEcn,
  "ecn.enable": ecn,
  "cc.abe": flag("alternativeBackoff"),
  "alternative-backoff": flag("alternativeBackoff"),
  tcp_timestamps: flag("timestamps"),
  tcp_window_scaling: flag("windowScaling"),
  "unlimited-challenges": flag("unlimitedChallenges"),
  "syn-cookies": flag("synCookies"),
  tcp_syncookies: flag("synCookies"),
  syncookies: flag("synCookies"),
  insecure_rst: flag("trustResets"),
  "trust-resets": flag("trustResets"),
  insecure_syn: flag("trustSyns"),
  "trust-syns": flag("trustSyns"),
  icmp_may_rst: flag("heedNetworkErrors"),
  "heed-network-errors": flag("heedNetworkErrors"),
  tcp_fastopen: (profile, value) => {
    profile.fastOpen = Number(value);
  },
  tcp_fastopen_key: (profile, value) => {
    profile.fastOpenKeys = parseFastOpenKeys(value);
    return profile.fastOpenKeys !== null;
  },
  "fastopen.client_enable": fastOpenBit(FastOpenBits.client),
  "fastopen.server_enable": fastOpenBit(FastOpenBits.server),
  drop_synfin: flag("dropSynFin"),
  "drop-syn-fin": flag("dropSynFin"),
  "receive-window": setting("initialReceiveWindow", 1),
  "quick-acks": setting("quickAcknowledgements", 1),
  "syn-retries": setting("synRetransmissions", 1),
  tcp_syn_retries: setting("synRetransmissions", 1),
  "initial-rto": setting("initialTimeout", 1),
  "minimum-rto": setting("minimumTimeout", 1),
  rexmit_initial: setting("initialTimeout", 1),
  rexmit_min: setting("minimumTimeout", 1),
  tcp_mtu_probing: (profile, value) => {
    profile.settings.pathMtuProbing = isOn(value);
  },
  pacing: (profile, value) => {
    profile.settings.pacing = isOn(value);
  },
  "maximum-segment": setting("maximumSegmentBytes", 1),
  rfc1323: scalingAndTimestamps,
  tcp_congestion_control: congestion,
  "cc.algorithm": congestion,
  tcp_rmem: receiveBuffer,
  "receive-buffer": receiveBuffer,
  recvspace: receiveSpace,
  maxsockbuf: receiveBuffer,
  tcp_wmem: sendBuffer,
  "send-buffer": sendBuffer,
  sendspace: sendBuffer,
  tcp_keepalive_time: setting("keepAliveIdle", 1000),
  tcp_keepalive_intvl: setting("keepAliveInterval", 1000),
  tcp_keepalive_probes: setting("keepAliveCount", 1),
  keepidle: setting("keepAliveIdle", 1),
  keepintvl: setting("keepAliveInterval", 1),
  keepcnt: setting("keepAliveCount", 1),
  always_keepalive: (profile, value) => {
    profile.settings.keepAlive = isOn(value);
  },
  "time-wait": (profile, value) => {
    profile.timeWait = Number(value);
  },
  // 0 switches delaying off: as many as anybody can send are acknowledged at once.
  delayed_ack: (profile, value) => {
    profile.settings.quickAcknowledgements = isOn(value) ? 0 : Infinity;
  },
  // FreeBSD's value is the maximum segment lifetime in milliseconds, of which TIME-WAIT lasts two.
  msl: (profile, value) => {
    profile.timeWait = 2 * Number(value);
  },
};

/** The names that {@linkcode Profile.set} knows. */
export const settingNames: readonly string[] = Object.keys(changes).sort();

/** The settings that a command makes, as pairs of name and value; none if it is no command that makes any. */
export function settingsOf(command: string): [name: string, value: string][] {
  const settings: [string, string][] = [];
  if (!/sysctl|\/proc\/sys\//.test(command)) return settings;
  // A shell joins lines that end so.
  const line = command.replaceAll(/\\(?:\n|$)/g, " ");
  for (
    const [, name, quoted, plain] of line.matchAll(/([a-z][\w.\/-]*)\s*=\s*(?:["']([^"'\n]*)["']|([^\s;&"']+))/g)
  ) {
    settings.push([name!, quoted ?? plain!]);
  }
  for (const [, value, path] of line.matchAll(/echo\s+["']?([^"'>\n]+?)["']?\s*>\s*\/proc\/sys\/(\S+)/g)) {
    settings.push([path!, value!]);
  }
  return settings;
}
