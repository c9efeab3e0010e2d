# SPDX-License-Identifier: Apache-2.0
"""A network card's wire whose other end is Linux: QEMU's tap device in a network namespace of its own.

A card of virtio leaves work to whoever is next, and takes work that others have left. Both pass
through Linux here, which believes no header that it has not checked. For TapWire's tests:

    card ──► tap "wire" ──► packet socket, with the header that came with the frame: headers
                                └──► tap "cut", which takes finished frames only, so that Linux sums and
                                     cuts before they are looked at (Peer)
    card ◄── tap "wire" ◄── packet socket, with headers of ours. What the card has not agreed to take so,
                            Linux finishes first
"""
import collections
import ctypes
import fcntl
import os
import select
import socket
import struct
import subprocess
import threading
from pathlib import Path

from wire import OP_SEND_STREAMS, TCP, TYPE_IP4, TYPE_IP6, UDP, Peer, checksum, pattern

CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454ca, 0x0002, 0x1000
SOL_PACKET, PACKET_STATISTICS, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 6, 15, 23
ETH_P_ALL, SO_RCVBUFFORCE = 3, 33
RECEIVE_BYTES, FRAME_MAX, QUEUE_FRAMES = 16 << 20, 66000, 10000

# [VIRTIO] "Device Operation" of network devices: struct virtio_net_hdr as far as Linux has it
HEADER = struct.Struct("<BBHHHH")
NEEDS_CSUM, GSO = 1, {TYPE_IP4: 1, TYPE_IP6: 4}
PLAIN = HEADER.pack(0, 0, 0, 0, 0, 0)

FIRST_STREAM, NR_STREAMS, AT_ONCE = 7101, 16, 4
FIN, PSH_ACK = 0x01, 0x18


class Unusable(Exception):
    """Why this machine has no such wire."""


def unshare(flags):
    if ctypes.CDLL(None, use_errno=True).unshare(flags):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def enter_namespace():
    """For this process and all that it starts, before it has threads."""
    uid, gid = os.getuid(), os.getgid()
    try:
        unshare(CLONE_NEWNET)
    except PermissionError:
        try:
            unshare(CLONE_NEWUSER | CLONE_NEWNET)
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
            Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
        except OSError as why:
            raise Unusable(f"no network namespace: {why}") from None
    except OSError as why:
        raise Unusable(f"no network namespace: {why}") from None
    try:
        os.close(open_tap("probe"))
    except OSError as why:
        raise Unusable(f"no tap device: {why}") from None


def open_tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    except OSError:
        os.close(fd)
        raise
    return fd


def ip(*words):
    subprocess.run(["ip", *words], check=True, stdin=subprocess.DEVNULL)


def set_up(name, mtu):
    ip("link", "set", name, "addrgenmode", "none")
    ip("link", "set", name, "mtu", str(mtu), "txqueuelen", str(QUEUE_FRAMES), "up")


def netdev(queues=1):
    """QEMU's words for the tap device "wire"."""
    return "tap,ifname=wire,script=no,downscript=no,vhost=off" + (f",queues={queues}" if queues > 1 else "")


def packet_socket(name, ignores_outgoing=1):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, ignores_outgoing)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    sock.bind((name, ETH_P_ALL))
    return sock


class Host(threading.Thread):
    """This machine itself on the wire, with an address. nr_large counts large segments that it gives to the card."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.nr_large = 0
        ip("tuntap", "add", "dev", "wire", "mode", "tap")
        ip("link", "set", "lo", "up")
        set_up("wire", 1500)
        ip("address", "add", address, "dev", "wire")
        self.seen = packet_socket("wire", ignores_outgoing=0)
        self.start()

    def run(self):
        while True:
            header, (_, _, kind, *_) = self.seen.recvfrom(HEADER.size)
            self.nr_large += kind == socket.PACKET_OUTGOING and HEADER.unpack(header)[1] == GSO[TYPE_IP4]


class TapWire(Peer, threading.Thread):
    """From here to close(). headers counts frames of the card by (target port, gso_type, is its sum missing).

    gso_size  of the large segments that it sends
    """

    def __init__(self, mtu=1500, queues=1):
        threading.Thread.__init__(self, daemon=True)
        Peer.__init__(self, mtu + 18)
        self.mtu, self.gso_size, self.headers = mtu, mtu - 100, collections.Counter()
        self.waiting = {}  # by port: what is still to be sent of a stream, when the last has come back
        self.sent = {}     # by port: bytes
        self.asked = []    # for streams, while some of the last have not come back: rings overtake each other
        self.is_open = True
        self.cut_fd = open_tap("cut")
        ip("tuntap", "add", "dev", "wire", "mode", "tap", *(["multi_queue"] if queues > 1 else []))
        set_up("cut", mtu)
        set_up("wire", mtu)
        self.cut, self.wire = packet_socket("cut"), packet_socket("wire")
        self.start()

    def close(self):
        self.is_open = False
        self.join()
        lost = struct.unpack("II", self.wire.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1]
        if lost:
            self.wrong.append(f"Linux has dropped {lost} frames on their way here")
        self.cut.close()
        self.wire.close()
        os.close(self.cut_fd)
        ip("link", "delete", "wire")

    # ---- from the card ----

    def run(self):
        while self.is_open:
            if self.wire in select.select([self.wire], [], [], 0.1)[0]:
                data = self.wire.recv(FRAME_MAX)
                self.note(data[:HEADER.size], data[HEADER.size:])
                self.finish(data)

    def note(self, header, frame):
        flags, gso_type, *_ = HEADER.unpack(header)
        kind = struct.unpack_from("!H", frame, 12)[0]
        at, proto = (34, 23) if kind == TYPE_IP4 else (54, 20)
        if kind in GSO and len(frame) >= at + 8 and frame[proto] in (TCP, UDP):
            port = struct.unpack_from("!H", frame, at + 2)[0]
            self.headers[port, gso_type, bool(flags & NEEDS_CSUM)] += 1

    def finish(self, data):
        """By Linux; what comes of it, in order."""
        try:
            self.cut.send(bytes([data[0] & NEEDS_CSUM]) + data[1:])
        except OSError as why:
            self.wrong.append(f"Linux refuses a frame: {why}: {data[:84].hex()}")
        while True:
            try:
                self.take(os.read(self.cut_fd, FRAME_MAX))
            except BlockingIOError:
                return

    # ---- to the card ----

    def send(self, frame, header=PLAIN):
        self.wire.send(header + frame)

    def take(self, frame):
        if frame[12:15] == b"\x88\xb5" + bytes([OP_SEND_STREAMS]):
            self.asked.append((frame[6:12], frame[:6], not frame[15]))
        else:
            super().take(frame)
        self.go_on()
        if self.asked and self.sent == {port: self.streams[port] for port in self.sent}:
            self.send_streams(*self.asked.pop(0))

    def sizes_of_streams(self):
        """Payload of each: a byte, some that fit a frame, and some that do not, among them whole multiples."""
        size = self.gso_size
        return [1, 100, size - 1, size, size + 1, 3 * size, 20000, 40000, 65000]

    def send_streams(self, to, from_, comes_back):
        ports = range(FIRST_STREAM, FIRST_STREAM + NR_STREAMS)
        for port in ports:
            sizes = self.sizes_of_streams()
            self.sent[port] = self.streams[port] = 0
            self.waiting[port] = [self.make(to, from_, port, sum(sizes[:i]), size, i == len(sizes) - 1)
                                  for i, size in enumerate(sizes)]
        for port in ports if not comes_back else ():
            while self.waiting[port]:
                self.send_next(port)
            self.streams[port] = self.sent[port]
        self.go_on()

    def go_on(self):
        """With some streams at a time, so that what comes back has room in a ring."""
        idle = [port for port, rest in self.waiting.items() if rest and self.streams[port] == self.sent[port]]
        nr_under_way = sum(self.streams[port] != nr for port, nr in self.sent.items())
        for port in sorted(idle, key=lambda port: -len(self.waiting[port]))[:max(0, AT_ONCE - nr_under_way)]:
            self.send_next(port)

    def send_next(self, port):
        header, frame, size = self.waiting[port].pop(0)
        self.sent[port] += size
        self.send(frame, header)

    def make(self, to, from_, port, at, size, is_last):
        """A segment of a stream whose sum, and if it is large its cutting, is left to the receiver."""
        kind, is_large = (TYPE_IP6 if port & 1 == 0 else TYPE_IP4), size > self.gso_size
        segment = struct.pack("!HHIIBBHHH", 5000 + port, port, at, 1, 5 << 4, PSH_ACK | (FIN if is_last else 0),
                              1000, 0, 0) + pattern(port, at, size)
        if kind == TYPE_IP4:
            ends = bytes([10, 0, 2, 2]) + bytes([10, 0, 2, 15])
            head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), at & 0xffff, 0, 64, TCP, 0) + ends
            head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        else:
            ends = bytes([0xfd]) + bytes(14) + bytes([9]) + bytes([0xfd]) + bytes(14) + bytes([1])
            head = struct.pack("!IHBB", 6 << 28, len(segment), TCP, 64) + ends
        pseudo = ~checksum(ends + struct.pack("!II", len(segment), TCP)) & 0xffff
        segment = segment[:16] + struct.pack("!H", pseudo) + segment[18:]
        header = HEADER.pack(NEEDS_CSUM, GSO[kind] if is_large else 0, 14 + len(head) + 20 if is_large else 0,
                             self.gso_size if is_large else 0, 14 + len(head), 16)
        return header, to + from_ + struct.pack("!H", kind) + head + segment, size
