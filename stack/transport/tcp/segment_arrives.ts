/**
 * What an arriving segment does to a connection: RFC 9293 section 3.10.7.3 (SYN-SENT) and 3.10.7.4 (all later states),
 * with RFC 5961's checks against blind attacks and RFC 7323's against old duplicates.
 *
 * @module
 */

import { segmentCount } from "../../link/segmentation.ts";
import { add, after, before, distance, notAfter } from "../../sequence.ts";
import { AckNeed } from "./ack_policy.ts";
import { fastOpenAnswered } from "./active_open.ts";
import type { Acknowledgement } from "./acknowledgement.ts";
import { Congestion } from "./congestion/control.ts";
import type { Connection } from "./connection.ts";
import { agreesToEcn, asksForEcn, Ecn } from "./ecn.ts";
import { handshakeReset, sendSyn } from "./handshake.ts";
import { Flag } from "./header.ts";
import { RecoveryState } from "./recovery.ts";
import { noteUrgent } from "./reports.ts";
import type { Segment } from "./segment.ts";
import type { Sender } from "./send.ts";
import { State } from "./state.ts";

/** How far behind RCV.NXT a segment may end for its acknowledgement to count, in bytes. */
const believedAge = 65_535;

/** Handles a segment of a connection. The packet stays the caller's. */
export function segmentArrives(connection: Connection, segment: Segment): void {
  connection.segmentsReceived += segmentCount(segment.packet);
  if (connection.state === State.synSent) arrivesInSynSent(connection, segment);
  else arrivesSynchronized(connection, segment);
  if (!connection.finished) connection.queueFlush();
}

/** RFC 9293 section 3.10.7.3. */
function arrivesInSynSent(connection: Connection, segment: Segment): void {
  const { sender, context } = connection;
  const ours = segment.ack && after(segment.acknowledgement, sender.initialSequence) &&
    notAfter(segment.acknowledgement, sender.sndNxt) && echoesOurClock(connection, segment);
  if (segment.ack && !ours) {
    context.counters.badAcknowledgement++;
    if (!segment.rst) connection.transmit(Flag.rst, segment.acknowledgement, 0);
    return;
  }
  if (segment.rst) {
    // Only an RST that acknowledges our SYN can come from somebody who saw it.
    if (!ours) {
      context.counters.unexpected++;
      return;
    }
    context.counters.resetsReceived++;
    return connection.fail("ConnectionRefused", "The peer refused the connection");
  }
  if (!segment.syn || (segment.fin && context.options.dropSynFin)) {
    context.counters.unexpected++;
    return;
  }
  connection.heardFrom(segment);
  takeSyn(connection, segment);
  if (!ours) {
    // Both ends opened at once (RFC 9293 section 3.5, figure 8).
    connection.receiver.openWindow();
    connection.receiver.hold(segment);
    connection.setState(State.synReceived);
    sendSyn(connection);
    connection.updateTimers();
    return;
  }
  if (context.options.ecn === "request" && agreesToEcn(segment.flags)) connection.ecn = new Ecn();
  takeAcknowledgement(connection, segment);
  fastOpenAnswered(connection, segment);
  sender.setWindow(segment.sequence, segment.acknowledgement, segment.window);
  connection.receiver.acks.need = AckNeed.now;
  if (sender.hasUnsent) connection.receiver.acks.conversing();
  connection.established();
  if (connection.finished) return;
  if (segment.length > 0 || segment.fin) {
    segment.sequence = add(segment.sequence, 1);
    takeText(connection, segment);
  }
}

/**
 * Whether the timestamp that an answer to our SYN echoes can be that of our SYN, where it echoes one (RFC 7323
 * section 3.2): who guesses an acknowledgement number off the path does not know it.
 */
function echoesOurClock(connection: Connection, { options }: Segment): boolean {
  if (!connection.timestamps || !options.hasTimestamps || options.timestampEcho === 0) return true;
  return connection.echoTime(options.timestampEcho) >= 0;
}

/** Takes what the peer's SYN says: its initial sequence number and its options. */
export function takeSyn(connection: Connection, segment: Segment): void {
  const { options } = segment;
  if (connection.context.options.ecn !== "off" && !segment.ack && asksForEcn(segment.flags)) connection.ecn = new Ecn();
  connection.receiver.start(segment.sequence);
  connection.negotiate(
    options.maximumSegmentSize,
    options.windowScale,
    options.sackPermitted,
    options.hasTimestamps ? options.timestampValue : null,
  );
}

/** RFC 9293 section 3.10.7.4, in its order of checks. */
function arrivesSynchronized(connection: Connection, segment: Segment): void {
  const { receiver, sender, context } = connection;
  if (connection.state === State.synReceived && segment.syn && !segment.ack && !segment.rst) {
    // Data of the first may have been taken (RFC 7413).
    if (add(segment.sequence, 1 + receiver.bytesReceived) === receiver.rcvNxt) return sendSyn(connection);
  }
  const answer = isAnswerToSimultaneousOpen(connection, segment);
  // Its SYN has been taken already; what counts is its acknowledgement.
  if (answer) segment.sequence = receiver.rcvNxt;
  if (!sequenceAcceptable(connection, segment)) return;
  if (segment.rst) return arrivesReset(connection, segment);
  if (segment.syn && !answer) {
    context.counters.unexpected++;
    // RFC 9293 section 3.10.7.4, fourth: the peer begins anew, and the listener waits for it again.
    if (connection.state === State.synReceived && connection.passive) return handshakeReset(connection);
    if (context.options.trustSyns) {
      connection.sendReset();
      return connection.fail("ConnectionReset", "The peer began a new connection");
    }
    // RFC 5961 section 4: whatever its sequence number.
    return connection.sendChallengeAck();
  }
  if (!segment.ack) {
    context.counters.unexpected++;
    return;
  }
  connection.heardFrom(segment);
  connection.ecn?.arrived(segment);
  if (connection.state === State.synReceived && !completesHandshake(connection, segment)) return;
  if (!acknowledgementAcceptable(connection, segment)) return;
  // RFC 7323 section 5.3 (R3) takes it before looking at the acknowledgement; but who can guess a sequence number in the
  // window, and none that acknowledges, must not be able to have everything that follows taken for old.
  const { options } = segment;
  if (connection.timestamps && options.hasTimestamps) {
    receiver.noteTimestamp(options.timestampValue, segment.sequence, segment.arrivedAt);
  }
  takeAcknowledgement(connection, segment);
  if (connection.finished || connection.state === State.timeWait) return;
  if (answer && sender.queued === 0) receiver.acks.need = AckNeed.now;
  if (sender.updateWindow(segment.sequence, segment.acknowledgement, windowOf(connection, segment))) {
    connection.queueFlush();
  }
  if (segment.urg) noteUrgent(connection, segment);
  if (segment.length > 0 || segment.fin) takeText(connection, segment);
}

/** First check: timestamps (RFC 7323 section 5.3) and sequence number. Answers what is not acceptable. */
function sequenceAcceptable(connection: Connection, segment: Segment): boolean {
  const { receiver, context } = connection;
  const { options } = segment;
  if (
    connection.timestamps && options.hasTimestamps && !segment.rst &&
    receiver.isOldTimestamp(options.timestampValue, segment.arrivedAt)
  ) {
    context.counters.oldTimestamp++;
    receiver.noteDuplicateSegment(segment.sequence, segment.length);
    // Linux and FreeBSD are silent about an ACK that data have overtaken, where RFC 7323 section 5.3 (R1) is not.
    const overtaken = segment.sequenceLength === 0 && before(segment.sequence, receiver.rcvNxt);
    if (!overtaken || connection.state < State.established) connection.sendStrayAck();
    return false;
  }
  if (receiver.acceptable(segment.sequence, segment.sequenceLength)) return true;
  context.counters.outsideWindow++;
  if (segment.rst) return false;
  if (segment.syn) {
    connection.sendChallengeAck();
    return false;
  }
  // The acknowledgement of our FIN leaves nobody who could answer.
  if (connection.state === State.lastAck) takeOldAcknowledgement(connection, segment);
  if (connection.finished) return false;
  receiver.noteDuplicateSegment(segment.sequence, segment.length);
  // A retransmission must be acknowledged again, whatever the limit says: its ACK may have been lost.
  if (segment.length > 0 || segment.fin) connection.sendAck();
  else connection.sendStrayAck();
  takeOldAcknowledgement(connection, segment);
  return false;
}

/**
 * Takes the acknowledgement of a segment that was received before. It is news even if its data are not: both ends may
 * probe each other's closed windows. But not that of a segment from anywhere in the past, which somebody off the path
 * could guess (RFC 5961 section 5).
 */
function takeOldAcknowledgement(connection: Connection, segment: Segment): void {
  const age = distance(connection.receiver.rcvNxt, segment.end);
  if (!segment.ack || connection.state < State.established || age < 0 || age > believedAge) return;
  connection.heardFrom(segment);
  if (acknowledgementInRange(connection, segment)) takeAcknowledgement(connection, segment);
}

/** Second check: RST (RFC 5961 section 3). */
function arrivesReset(connection: Connection, segment: Segment): void {
  const { receiver, context } = connection;
  if (segment.sequence !== receiver.rcvNxt && !context.options.trustResets) return connection.sendChallengeAck();
  context.counters.resetsReceived++;
  if (connection.state === State.synReceived) {
    if (connection.passive) return handshakeReset(connection);
    return connection.fail("ConnectionRefused", "The peer refused the connection");
  }
  connection.fail("ConnectionReset", "The peer reset the connection");
}

/** In a simultaneous open the peer's SYN comes again, with the acknowledgement of ours. */
function isAnswerToSimultaneousOpen(connection: Connection, segment: Segment): boolean {
  return connection.state === State.synReceived && !connection.passive && segment.syn && segment.ack &&
    !segment.rst && add(segment.sequence, 1) === connection.receiver.rcvNxt;
}

/** Fifth check in SYN-RECEIVED: the acknowledgement of our SYN completes the handshake. */
function completesHandshake(connection: Connection, segment: Segment): boolean {
  const { sender, context } = connection;
  if (!after(segment.acknowledgement, sender.sndUna) || after(segment.acknowledgement, sender.sndNxt)) {
    context.counters.badAcknowledgement++;
    connection.transmit(Flag.rst, segment.acknowledgement, 0);
    return false;
  }
  // A connection that was opened fast has its place in the accept queue, or has left it.
  if (connection.parent !== null && !connection.openedFast && !connection.parent.admits(connection)) return false;
  sender.setWindow(segment.sequence, segment.acknowledgement, windowOf(connection, segment));
  connection.established();
  if (connection.finished) return false;
  if (connection.receiver.takeHeld(segment.arrivedAt)) connection.becameReadable();
  return !connection.finished;
}

/** SEG.WND in bytes: that of a SYN is never scaled (RFC 7323 section 2.2). */
function windowOf(connection: Connection, segment: Segment): number {
  return segment.syn ? segment.window : segment.window << connection.sender.windowScale;
}

/** Whether an acknowledgement number lies in the range that RFC 5961 section 5 allows. */
function acknowledgementInRange(connection: Connection, segment: Segment): boolean {
  const { sender } = connection;
  const age = distance(sender.sndUna, segment.acknowledgement);
  return sender.covers(segment.acknowledgement) && (age <= 0 || age <= sender.believedLag);
}

/** Fifth check: the acknowledgement number. */
function acknowledgementAcceptable(connection: Connection, segment: Segment): boolean {
  if (acknowledgementInRange(connection, segment)) return true;
  connection.context.counters.badAcknowledgement++;
  connection.sendChallengeAck();
  return false;
}

/** Takes the acknowledgement in: the send buffer, the scoreboard, round-trip time and congestion control. */
function takeAcknowledgement(connection: Connection, segment: Segment): void {
  const { sender, context } = connection;
  const { options } = segment;
  const now = segment.arrivedAt;
  if (sender.probed && segment.acknowledgement === add(sender.sndNxt, 1)) sender.probeAccepted();
  const sndUna = sender.sndUna;
  // The SACK blocks of an acknowledgement that another one has overtaken may be news still (RFC 2018 section 5).
  if (before(segment.acknowledgement, sndUna) && !(connection.selective && options.sackBlocks > 0)) return;
  const echo = connection.timestamps && options.hasTimestamps && options.timestampEcho !== 0
    ? connection.echoTime(options.timestampEcho)
    : -1;
  if (echo >= 0) connection.receiver.sampleRoundTrip(Math.max(0, now - echo));
  const echoed = connection.ecn !== null && (segment.flags & Flag.ece) !== 0 && !segment.syn;
  if (echoed) takeEcho(connection, segment);
  // RFC 3168 section 6.1.2: an acknowledgement with an echo does not let the window grow.
  const usesWindow = !echoed && sender.usesWindow;
  const ack = context.acknowledgement;
  ack.digest(
    sender.scoreboard,
    sender.rack,
    segment.acknowledgement,
    sndUna,
    sender.sndNxt,
    connection.selective ? options : null,
    echo,
    now,
  );
  if (repeatsAcknowledgement(connection, segment)) connection.duplicateAcks++;
  if (!connection.selective && isDuplicate(connection, segment)) ack.countDuplicate(sender.scoreboard);
  sampleRoundTrip(sender, ack, echo, now);
  if (after(segment.acknowledgement, sndUna)) {
    sender.release(segment.acknowledgement);
    connection.progressed();
    // RFC 4861 section 7.3.1: the peer gets what we send, so the next hop is there.
    connection.path.neighbor.confirm?.();
  }
  if (sndUna !== sender.initialSequence) sender.noteDelivery(ack.delivered, now);
  if (sndUna === sender.initialSequence) {
    // RFC 1191 section 6.5: what was too big was not lost to congestion.
    sender.handshakeAcknowledged(ack.retransmissionAcked && connection.fastOpen?.tooBig !== true);
  }
  const concernsData = sndUna !== sender.initialSequence || ack.sackedMore;
  if (concernsData && (ack.delivered > 0 || ack.duplicateReported || sender.awaitsRepair)) {
    sender.recovery.acknowledged(
      ack,
      context.sampleFor(sender, ack.delivered, now),
      connection.selective,
      usesWindow,
      echo,
    );
  }
  if (ack.advanced > (sndUna === sender.initialSequence ? 1 : 0)) connection.observer?.writable();
  afterOurFin(connection);
}

/** The peer echoes a congestion mark. */
function takeEcho(connection: Connection, segment: Segment): void {
  const { sender, context, ecn } = connection;
  const sample = context.sampleFor(sender, 0, segment.arrivedAt);
  sample.sndUna = segment.acknowledgement;
  const sign = context.options.alternativeBackoff ? Congestion.mark : Congestion.loss;
  if (!sender.recovery.congestionReported(sample, sign)) return;
  context.counters.congestionMarks++;
  ecn!.reduced = true;
}

/** Echoes tell whole milliseconds: a difference of less than this between two ways to measure means nothing. */
const echoGranularity = 2;

/**
 * Takes a round-trip sample (RFC 6298 section 3, RFC 7323 section 4). What was sent once may still have waited behind a
 * hole for its acknowledgement: when that covers a retransmission, or while a repair is under way, only the echo tells
 * the time of the segment that is answered. And an echo from before the retransmission tells nothing (Karn): the answer
 * to the first copy may be late, or lost and only repeated now, which would make the time-out feed on itself.
 */
function sampleRoundTrip(sender: Sender, ack: Acknowledgement, echo: number, now: number): void {
  const waited = ack.retransmissionAcked || (ack.advanced === 0 && sender.recovering);
  const answersLast = !ack.retransmissionAcked || echo >= Math.floor(ack.lastSentAt);
  const bySending = ack.firstSentAt >= 0 && !waited ? now - ack.firstSentAt : Infinity;
  const byEcho = echo >= 0 && ack.advanced > 0 && answersLast ? Math.max(0, Math.floor(now) - echo) : Infinity;
  if (bySending === Infinity && byEcho === Infinity) return;
  sender.rtt.sample(byEcho + echoGranularity < bySending ? byEcho : bySending, now);
}

/** A duplicate ACK (RFC 5681 section 2). */
function isDuplicate(connection: Connection, segment: Segment): boolean {
  const { sender } = connection;
  // After a time-out, duplicate ACKs come from what was sent again although it had arrived (RFC 6582 section 4.1).
  return sender.recoveryState !== RecoveryState.loss && repeatsAcknowledgement(connection, segment);
}

/** Whether a segment says nothing but what the last one acknowledged, while something is in the network. */
function repeatsAcknowledgement(connection: Connection, segment: Segment): boolean {
  const { sender } = connection;
  return sender.scoreboard.count > 0 &&
    segment.acknowledgement === sender.sndUna && segment.length === 0 && !segment.fin && !segment.syn &&
    windowOf(connection, segment) === sender.sndWnd;
}

/** What the acknowledgement of our FIN does to the state. */
function afterOurFin(connection: Connection): void {
  if (!connection.sender.finAcknowledged) return;
  switch (connection.state) {
    case State.finWait1:
      return connection.setState(State.finWait2);
    case State.closing:
      return connection.enterTimeWait();
    case State.lastAck:
      return connection.finish(null);
  }
}

/** Seventh and eighth check: data and FIN. */
function takeText(connection: Connection, segment: Segment): void {
  const { receiver } = connection;
  if (
    connection.state !== State.established && connection.state !== State.finWait1 &&
    connection.state !== State.finWait2
  ) {
    // The peer has sent FIN before: what comes after it is ignored, a repetition is acknowledged.
    if (before(segment.sequence, receiver.rcvNxt)) receiver.acks.need = AckNeed.now;
    return;
  }
  if (connection.abandoned && after(add(segment.sequence, segment.length), receiver.rcvNxt)) {
    // RFC 9293 section 3.6.1: nobody is going to read this, and the peer should know. As in the CLOSED state (section
    // 3.10.7.1) the reset is where the peer waits for us, even if our FIN has not reached it.
    connection.transmit(Flag.rst, segment.acknowledgement, 0);
    return connection.finish(null);
  }
  const readable = receiver.take(segment, segment.arrivedAt);
  const outOfOrder = receiver.outOfOrder.count > 0 && receiver.acks.need === AckNeed.now;
  if (receiver.finReached) takeFin(connection);
  // Each segment that leaves a hole is acknowledged on its own: the peer counts.
  else if (outOfOrder) connection.sendAck();
  if (readable && !connection.finished) connection.becameReadable();
}

/** The peer's FIN has been reached. */
function takeFin(connection: Connection): void {
  switch (connection.state) {
    case State.established:
      return connection.setState(State.closeWait);
    case State.finWait1:
      return connection.setState(State.closing);
    case State.finWait2:
      return connection.enterTimeWait();
  }
}
