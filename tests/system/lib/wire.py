# SPDX-License-Identifier: Apache-2.0
"""The other end of a network card's wire: a program that gets and gives raw Ethernet frames.

A Peer echoes what tests/kernel/lib/nic_card.c wants echoed, looks at every IP packet that a card has
summed or cut, and sends flows. Wire is one that QEMU connects to by a socket (`-netdev stream`), so it
needs no privileges and loses nothing; it takes finished frames only.
"""
import socket
import struct
import threading
import time

TYPE_TEST, TYPE_IP4, TYPE_IP6 = 0x88b5, 0x0800, 0x86dd
OP_ECHO, OP_ECHOED, OP_SEND_FLOWS, OP_SEND_STREAMS = 1, 2, 3, 4
TCP, UDP = 6, 17
PORTS_OF_STREAMS = range(7001, 7200)
SEGMENTS = (1000, 1449, 2000, 10000, 40000, 65000)  # payload of what a card is to cut, of each kind of IP
STREAM_BYTES = sum(SEGMENTS)
NR_FLOWS, FRAMES_A_FLOW, WRONG_EVERY = 80, 5, 10
NR_VALID = NR_FLOWS * FRAMES_A_FLOW * (WRONG_EVERY - 1) // WRONG_EVERY
PAUSE_S = 0.01  # a card with queues of its own drops what one queue has no room for


def checksum(data):
    if len(data) & 1:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


BASE = bytes((i * 7 + (i >> 8)) & 0xff for i in range(1 << 16))  # and so on from the start


def pattern(stream, at, length):
    start = at % len(BASE)
    base = (BASE * (1 + (start + length) // len(BASE)))[start:start + length]
    return base.translate(bytes((byte + stream) & 0xff for byte in range(256)))


def tcp_packet(source, target, ports, payload, is_wrong=False):
    """An IPv4 packet, or an IPv6 one when the addresses are as long."""
    segment = struct.pack("!HHIIBBHHH", *ports, 1, 1, 5 << 4, 0x18, 1000, 0, 0) + payload
    pseudo = source + target + struct.pack("!II", len(segment), TCP)
    right = checksum(pseudo + segment)
    segment = segment[:16] + struct.pack("!H", right ^ (0x0101 if is_wrong else 0)) + segment[18:]
    if len(source) == 16:
        return struct.pack("!IHBB", 6 << 28, len(segment), TCP, 64) + source + target + segment
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, TCP, 0) + source + target
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + segment


class Peer:
    """What it has seen is in wrong (lines), nr_sums, nr_echoes, segments, streams. send() is its wire's."""

    def __init__(self, frame_max=1518):
        self.frame_max = frame_max
        self.wrong, self.nr_sums, self.nr_echoes = [], 0, 0
        self.segments, self.streams = {}, {}  # by port: payload of each; bytes in all

    def take(self, frame):
        kind = struct.unpack_from("!H", frame, 12)[0]
        if len(frame) > self.frame_max:
            self.wrong.append(f"a frame of {len(frame)} bytes")
        if kind == TYPE_TEST and frame[14] == OP_ECHO:
            self.nr_echoes += 1
            self.send(frame[6:12] + frame[:6] + frame[12:14] + bytes([OP_ECHOED]) + frame[15:])
        elif kind == TYPE_TEST and frame[14] == OP_SEND_FLOWS:
            self.send_flows(frame[6:12], frame[:6])
        elif kind in (TYPE_IP4, TYPE_IP6):
            why = self.look_at_packet(frame[14:], kind)
            if why:
                self.wrong.append(f"{why}: {frame[:74].hex()}")

    def send_flows(self, to, from_):
        for i in range(FRAMES_A_FLOW):
            for flow in range(NR_FLOWS):
                is_wrong = (flow + i) % WRONG_EVERY == 0
                if flow & 1:
                    kind, ends = TYPE_IP6, (bytes([0xfd]) + bytes(14) + bytes([9]),
                                            bytes([0xfd]) + bytes(14) + bytes([1]))
                else:
                    kind, ends = TYPE_IP4, (bytes([10, 0, 2, 2]), bytes([10, 0, 2, 15]))
                packet = tcp_packet(*ends, (1024 + flow, 80), bytes([is_wrong]) + bytes(63), is_wrong)
                self.send(to + from_ + struct.pack("!H", kind) + packet)
            time.sleep(PAUSE_S)

    # ---- what a card has made of a packet ----

    def look_at_packet(self, packet, kind):
        if kind == TYPE_IP4:
            length, proto = struct.unpack_from("!H", packet, 2)[0], packet[9]
            if checksum(packet[:20]):
                return "the IP header's checksum is wrong"
            ends, rest = packet[12:20], packet[20:length]
        else:
            length, proto = struct.unpack_from("!H", packet, 4)[0] + 40, packet[6]
            ends, rest = packet[8:40], packet[40:length]
        if length > len(packet) or (length < len(packet) and len(packet) > 46):
            return f"IP says {length} bytes, the frame has {len(packet)}"
        if proto not in (TCP, UDP):
            return None
        if checksum(ends + struct.pack("!II", len(rest), proto) + rest):
            return f"the checksum of protocol {proto} is wrong"
        if proto == UDP and rest[6:8] == b"\0\0":
            return "UDP without a checksum"
        self.nr_sums += 1
        return self.look_at_payload(rest, proto)

    def look_at_payload(self, rest, proto):
        port = struct.unpack_from("!H", rest, 2)[0]
        payload = rest[20 if proto == TCP else 8:]
        at = 0
        if port in PORTS_OF_STREAMS:
            at = struct.unpack_from("!I", rest, 4)[0]
            expected = self.streams.get(port, 0)
            if at != expected:
                return f"stream {port} goes on at {at}, not at {expected}"
            self.streams[port] = at + len(payload)
            self.segments.setdefault(port, []).append(len(payload))
        if payload != pattern(port, at, len(payload)):
            return f"the payload at {at} of {port} is wrong"
        return None


class Wire(Peer, threading.Thread):
    """Listens at path until close()."""

    def __init__(self, path, frame_max=1518):
        threading.Thread.__init__(self, daemon=True)
        Peer.__init__(self, frame_max)
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(1)
        self.connection = None
        self.start()

    def close(self):
        for open_socket in (self.listener, self.connection):
            if open_socket:
                try:
                    open_socket.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                open_socket.close()
        self.path.unlink(missing_ok=True)

    def run(self):
        try:
            self.connection = self.listener.accept()[0]
            stream = self.connection.makefile("rb")
            while len(head := stream.read(4)) == 4:
                self.take(stream.read(struct.unpack("!I", head)[0]))
        except OSError:
            pass  # closed, or the machine has ended

    def send(self, frame):
        self.connection.sendall(struct.pack("!I", len(frame)) + frame)
