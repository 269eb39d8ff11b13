/**
 * TCP_INFO with Linux's names and units, from what the stack knows of a connection.
 *
 * @module
 */

import type { Connection } from "../../../stack/transport/tcp/connection.ts";
import { duplicateThreshold } from "../../../stack/transport/tcp/rack.ts";
import { Mark, type Scoreboard } from "../../../stack/transport/tcp/scoreboard.ts";
import { State } from "../../../stack/transport/tcp/state.ts";

/** What Linux says of a threshold that nothing has set. */
const unknownThreshold = 0x7fff_ffff;

/** The numbers of the states on Linux, by ours. */
const stateNumbers: Readonly<Record<State, number>> = {
  [State.closed]: 7,
  [State.listen]: 10,
  [State.synSent]: 2,
  [State.synReceived]: 3,
  [State.established]: 1,
  [State.finWait1]: 4,
  [State.finWait2]: 5,
  [State.closeWait]: 8,
  [State.closing]: 11,
  [State.lastAck]: 9,
  [State.timeWait]: 6,
};

const congestionStates: Readonly<Record<string, number>> = { open: 0, disorder: 1, recovery: 3, loss: 4 };

/** The fields by name; of a connection that never was, the state alone. */
export function tcpInfo(connection: Connection | null): Record<string, number> {
  if (connection === null) return { tcpi_state: stateNumbers[State.closed] };
  const info = connection.info();
  const { sender } = connection;
  const { scoreboard } = sender;
  const count = (mark: number) => segmentsWith(scoreboard, mark);
  const microseconds = (time: number) => Math.round(time * 1000);
  const threshold = info.slowStartThreshold === Infinity
    ? unknownThreshold
    : Math.floor(info.slowStartThreshold / info.sendMss);
  return {
    tcpi_state: stateNumbers[connection.state],
    tcpi_ca_state: congestionStates[info.congestionState]!,
    tcpi_retransmits: connection.retransmissions,
    tcpi_backoff: info.backoff,
    tcpi_options: Number(info.timestamps) | (Number(info.selectiveAcknowledgements) << 1) |
      (Number(connection.windowScaling) << 2) | (Number(connection.ecn !== null) << 3) | (Number(info.fastOpen) << 5),
    tcpi_snd_wscale: info.sendWindowScale,
    tcpi_rcv_wscale: info.receiveWindowScale,
    tcpi_rto: microseconds(info.rto * 2 ** info.backoff),
    tcpi_snd_mss: info.sendMss,
    tcpi_rcv_mss: connection.receiver.segmentBytes,
    tcpi_unacked: scoreboard.count,
    tcpi_sacked: count(Mark.sacked),
    tcpi_lost: count(Mark.lost),
    tcpi_retrans: count(Mark.retransmitted),
    tcpi_pmtu: connection.path.mtu,
    tcpi_rtt: microseconds(info.rtt),
    tcpi_rttvar: microseconds(info.rttVariance),
    tcpi_min_rtt: info.rttMin === Infinity ? 0xffff_ffff : microseconds(info.rttMin),
    tcpi_snd_ssthresh: threshold,
    tcpi_snd_cwnd: Math.floor(info.congestionWindow / info.sendMss),
    tcpi_snd_wnd: info.sendWindow,
    tcpi_rcv_space: info.receiveWindow,
    tcpi_rcv_wnd: info.receiveWindow,
    tcpi_reordering: duplicateThreshold,
    // Linux counts segments, the SYN among them.
    tcpi_delivered: sender.sndUna === sender.initialSequence
      ? 0
      : 1 + Math.ceil(info.bytesAcknowledged / info.sendMss) + count(Mark.sacked),
    tcpi_total_retrans: info.segmentsRetransmitted,
    tcpi_notsent_bytes: connection.sender.unsent,
    tcpi_bytes_acked: info.bytesAcknowledged,
    tcpi_bytes_received: info.bytesReceived,
    tcpi_bytes_sent: info.bytesSent + info.bytesRetransmitted,
    tcpi_bytes_retrans: info.bytesRetransmitted,
    tcpi_segs_out: info.segmentsSent,
    tcpi_segs_in: info.segmentsReceived,
  };
}

function segmentsWith(scoreboard: Scoreboard, mark: number): number {
  let count = 0;
  for (let index = 0; index < scoreboard.count; index++) if (scoreboard.has(index, mark)) count++;
  return count;
}
