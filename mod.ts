/**
 * A complete user-space TCP/IP stack: the protocols, the devices that carry their frames, and an API in the shape of
 * Deno's own networking.
 *
 * Importing this module needs no permission. Opening a TAP or TUN device needs `--allow-ffi` and, from the operating
 * system, CAP_NET_ADMIN.
 *
 * @example Serve TCP on a TAP device
 * ```ts ignore
 * import { openTap, Stack } from "@tapstack/tapstack";
 *
 * await using stack = new Stack();
 * stack.attach(openTap({ hostAddresses: ["192.0.2.1/24"] }), { addresses: ["192.0.2.2/24"] });
 * for await (const conn of stack.listen({ port: 7 })) {
 *   conn.readable.pipeTo(conn.writable).catch(console.error);
 * }
 * ```
 *
 * @example Two stacks on a wire that loses a tenth of the frames
 * ```ts
 * import { createWire, Stack } from "./mod.ts";
 *
 * await using left = new Stack();
 * await using right = new Stack();
 * const [leftEnd, rightEnd] = createWire({ seed: 1, impairments: { loss: 0.1 } });
 * left.attach(leftEnd, { addresses: ["10.0.0.1/24"] });
 * right.attach(rightEnd, { addresses: ["10.0.0.2/24"] });
 *
 * const listener = right.listen({ port: 80 });
 * const client = await left.connect({ hostname: "10.0.0.2", port: 80 });
 * const server = await listener.accept();
 * await server.write(new TextEncoder().encode("hello"));
 * const { value } = await client.readable.getReader().read();
 * console.log(new TextDecoder().decode(value));
 * ```
 *
 * @module
 */

export type { DescriptorDevice, DescriptorDeviceCounters } from "./ffi/descriptor_device.ts";
export { isSystemError, type SystemError } from "./ffi/errno.ts";
export { HostChanges, type HostChangesRoute } from "./ffi/host_changes.ts";
export { HostGuard, type HostGuardOptions } from "./ffi/host_guard.ts";
export type { HostInterface } from "./ffi/host_interface.ts";
export type { Libc, LibcCalls } from "./ffi/libc.ts";
export { openPacketSocket, type PacketSocketDevice, type PacketSocketOptions } from "./ffi/packet_socket.ts";
export { type HostAddressOptions, type HostRoute, Rtnetlink } from "./ffi/rtnetlink.ts";
export type { AddressInfo, LinkChange, LinkInfo, RouteInfo } from "./ffi/rtnetlink_message.ts";
export {
  adoptTapQueue,
  openTapQueues,
  type TapQueue,
  type TapQueues,
  type TapQueuesOptions,
} from "./ffi/tap_queues.ts";
export {
  type HostAddress,
  isDeviceUnavailable,
  openTap,
  openTun,
  type TapOptions,
  type TunOptions,
  type TunTapDevice,
} from "./ffi/tuntap.ts";
export { type Family, IpAddress, IpPrefix, MacAddress } from "./stack/address.ts";
export { Bridge, type BridgeConnectOptions, type BridgeOptions } from "./stack/bridge.ts";
export { type Clock, SystemClock, VirtualClock } from "./stack/clock.ts";
export { type CounterGroup, Counters } from "./stack/counters.ts";
export {
  describe,
  describeFrame,
  type DescribeOptions,
  describeSegment,
  dissectFrame,
  type DissectOptions,
} from "./stack/describe.ts";
export type {
  ArpDescription,
  Description,
  EthernetDescription,
  FragmentDescription,
  NetworkDescription,
  TransportDescription,
} from "./stack/describe/description.ts";
export type { Field, Layer } from "./stack/describe/layer.ts";
export type { InitialSequenceNumbers, SegmentOptions } from "./stack/describe/segment.ts";
export type { ErrorName } from "./stack/errors.ts";
export type { BridgePort, BridgePortCounters, BridgeSettings, BridgeStation } from "./stack/link/bridge.ts";
export { capture, type CaptureDevice, type CaptureOptions, type CaptureSink } from "./stack/link/capture.ts";
export {
  ChannelDevice,
  type ChannelDeviceCounters,
  type ChannelDeviceOptions,
  type ChannelTraffic,
  type MessageChannel,
} from "./stack/link/channel.ts";
export type { Device, DeviceHost, FlowShare, Poller } from "./stack/link/device.ts";
export type { DeviceWrapper } from "./stack/link/device_wrapper.ts";
export { impair, type ImpairedDevice } from "./stack/link/impaired_device.ts";
export type {
  BurstLoss,
  ImpairedLinkOptions,
  Impairment,
  ImpairmentCounters,
  ImpairmentOptions,
  Outage,
} from "./stack/link/impairment.ts";
export { LoopbackDevice } from "./stack/link/loopback.ts";
export { Evidence, type MappingKeeper, type NeighborResolver } from "./stack/link/mapping.ts";
export type { LinkProtocol, LinkSession, Nic, NicCounters, NicOptions } from "./stack/link/nic.ts";
export type { FramePort, SharedQueue, SharedQueueCounters } from "./stack/link/shared_queue.ts";
export { createWire, type WireEnd, type WireOptions } from "./stack/link/wire.ts";
export {
  ConnectionLog,
  type ConnectionLogOptions,
  type ConnectionMetrics,
  type LineSink,
} from "./stack/connection_log.ts";
export type { Logger } from "./stack/logger.ts";
export { type Neighbor, NeighborState } from "./stack/network/neighbor.ts";
export type { NeighborCounters, NeighborEntry, Neighbors, UnreachableHandler } from "./stack/network/neighbors.ts";
export type { Route, RouteFilter, RouteRequest, Routes } from "./stack/network/routes.ts";
export { ChecksumState, Packet, PacketPool, type PacketQueue, type SizeClass } from "./stack/packet.ts";
export { type Protocol, Verdict } from "./stack/protocol.ts";
export { CryptoRandom, type Random, SeededRandom } from "./stack/random.ts";
export type {
  InterfaceSnapshot,
  NeighborSnapshot,
  PacketMemorySnapshot,
  PortSnapshot,
  RouteSnapshot,
  StackSnapshot,
  TcpInfoSnapshot,
  TcpSnapshot,
  UdpSnapshot,
} from "./stack/snapshot.ts";
export type { Datagram, DatagramConn } from "./stack/socket/datagram_conn.ts";
export type {
  ForwardHandler,
  Forwarding,
  TcpForwardOptions,
  TcpForwardRequest,
  UdpForwardOptions,
  UdpForwardRequest,
} from "./stack/socket/forward.ts";
export type {
  TcpConnectOptions,
  TcpListenOptions,
  UdpConnectOptions,
  UdpListenOptions,
  UdpSocketOptions,
} from "./stack/socket/options.ts";
export type { PingError, PingEvent, PingOptions, PingReply, PingTimeout } from "./stack/socket/ping.ts";
export type { KeepAliveOptions, TcpConn } from "./stack/socket/tcp_conn.ts";
export type { TcpListener } from "./stack/socket/tcp_listener.ts";
export { Stack } from "./stack/stack.ts";
export type { AttachOptions, StackOptions } from "./stack/stack_options.ts";
export { Timer, Timers } from "./stack/timers.ts";
export { type Endpoint, formatEndpoint } from "./stack/transport/endpoint.ts";
export {
  type EphemeralPortRequest,
  type PortRequest,
  type PortReservation,
  type Ports,
  Sharing,
} from "./stack/transport/ports.ts";
export { ConnectionTracker, type TrackedSegment, type TrackedState } from "./stack/transport/tcp/connection_tracker.ts";
export type { CongestionControlName } from "./stack/transport/tcp/congestion/algorithms.ts";
export {
  type AckSample,
  Congestion,
  type CongestionControl,
  type CongestionControlFactory,
  type CongestionWindow,
} from "./stack/transport/tcp/congestion/control.ts";
export { Cubic } from "./stack/transport/tcp/congestion/cubic.ts";
export { Reno } from "./stack/transport/tcp/congestion/reno.ts";
export type { FastOpenListenOptions } from "./stack/transport/tcp/fast_open.ts";
export type { SequenceChooser } from "./stack/transport/tcp/isn.ts";
export type { RttEstimator } from "./stack/transport/tcp/rtt.ts";
export { State, stateName } from "./stack/transport/tcp/state.ts";
export type { TcpConfiguration, TcpOptionsOffered } from "./stack/transport/tcp/configuration.ts";
export { combineTraces, type TcpTrace } from "./stack/transport/tcp/trace.ts";
export type {
  ConnectionObserver,
  ConnectionSettings,
  Failure,
  TcpInfo,
  UserConnection,
} from "./stack/transport/tcp/user.ts";
export type { UdpSettings } from "./stack/transport/udp_socket.ts";
