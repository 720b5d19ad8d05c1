# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# Drives a virtual CVM from Python: vcvm(1), its TPM device and configfs-tsm.

import contextlib
import json
import os
import struct
import subprocess

VCVM = os.environ["VCVM"]


class Failed(Exception):
    pass


def vcvm(*args):
    done = subprocess.run((VCVM,) + args, capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise Failed(done.stderr.strip())
    return done.stdout


class Machine:
    def __init__(self, path, *options):
        self.path = path
        self.start(*options)

    def start(self, *options):
        vcvm("start", self.path, *options)

    def stop(self):
        vcvm("stop", self.path)

    def ctl(self, *words):
        return vcvm("ctl", self.path, *words)

    @contextlib.contextmanager
    def set(self, key, value):
        self.ctl("set", key, str(value))
        try:
            yield
        finally:
            self.ctl("reset")

    def facts(self):
        return json.loads(self.ctl("facts"))

    def counter(self, name):
        for line in self.ctl("counters").splitlines():
            key, value = line.split()
            if key == name:
                return int(value)
        return 0

    def file(self, *parts):
        return os.path.join(self.path, *parts)

    def read(self, *parts):
        with open(self.file(*parts), "rb") as f:
            return f.read()

    @property
    def tpm(self):
        return self.file("root/dev/tpmrm0")

    @property
    def reports(self):
        return self.file("root/sys/kernel/config/tsm/report")

    def event_log(self):
        return self.read("root/sys/kernel/security/tpm0",
                         "binary_bios_measurements")

    def tools(self, *command):
        env = dict(os.environ, TPM2TOOLS_TCTI="device:" + self.tpm)
        return subprocess.run(command, env=env, capture_output=True,
                              check=True, text=True).stdout


class Entry:
    """One directory in configfs-tsm."""

    def __init__(self, machine, name="entry"):
        self.path = os.path.join(machine.reports, name)

    def __enter__(self):
        os.mkdir(self.path)
        return self

    def __exit__(self, *why):
        os.rmdir(self.path)

    def attr(self, name):
        return os.path.join(self.path, name)

    def read(self, name):
        # Not a file object: that takes EAGAIN for "nothing yet".
        fd = os.open(self.attr(name), os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = b""
            while chunk := os.read(fd, 65536):
                data += chunk
            return data
        finally:
            os.close(fd)

    def write(self, name, data):
        with open(self.attr(name), "wb", buffering=0) as f:
            f.write(data)

    def generation(self):
        return int(self.read("generation"))


class Tpm:
    """Raw commands on one open of the device."""

    def __init__(self, machine, flags=0):
        self.fd = os.open(machine.tpm, os.O_RDWR | os.O_CLOEXEC | flags)

    def __enter__(self):
        return self

    def __exit__(self, *why):
        os.close(self.fd)

    def raw(self, command):
        os.write(self.fd, command)
        return os.read(self.fd, 4096)

    def run(self, code, body=b"", sessions=False):
        """The response code, and what follows the header."""
        tag = 0x8002 if sessions else 0x8001
        rsp = self.raw(struct.pack(">HII", tag, 10 + len(body), code) + body)
        _, size, rc = struct.unpack(">HII", rsp[:10])
        assert size == len(rsp)
        return rc, rsp[10:]

    def ok(self, code, body=b"", sessions=False):
        rc, rsp = self.run(code, body, sessions)
        assert rc == 0, hex(rc)
        return rsp

    def get_random(self, n=16):
        rsp = self.ok(0x17B, struct.pack(">H", n))
        return rsp[2:]

    def nv_read(self, index):
        public = self.ok(0x169, struct.pack(">I", index))
        size, = struct.unpack(">H", public[14:16])
        out = b""
        while len(out) < size:
            n = min(512, size - len(out))
            rsp = self.ok(0x14E, struct.pack(">II", index, index) + PASSWORD
                          + struct.pack(">HH", n, len(out)), True)
            out += rsp[6:6 + n]
        return out

    def create_primary(self, template, hierarchy=0x4000000B):
        """The handle and the TPMT_PUBLIC."""
        rsp = self.ok(0x131, struct.pack(">I", hierarchy) + PASSWORD
                      + struct.pack(">HHHH", 4, 0, 0, len(template)) + template
                      + struct.pack(">HI", 0, 0), True)
        handle, _, size = struct.unpack(">IIH", rsp[:10])
        return handle, rsp[10:10 + size]

    def read_public(self, handle):
        """The TPM's Name of the object."""
        rsp = self.ok(0x173, struct.pack(">I", handle))
        size, = struct.unpack(">H", rsp[:2])
        return rsp[4 + size:4 + size + 34]

    def transient_handles(self):
        rsp = self.ok(0x17A, struct.pack(">III", 1, 0x80000000, 32))
        n, = struct.unpack(">I", rsp[5:9])
        return struct.unpack(">%dI" % n, rsp[9:])

    def start_session(self):
        """An unsalted policy session."""
        rsp = self.ok(0x176, struct.pack(">IIH", 0x40000007, 0x40000007, 16)
                      + bytes(16) + struct.pack(">HBHH", 0, 1, 0x10, 0xB))
        return struct.unpack(">I", rsp[:4])[0]

    def quote(self, handle, nonce, pcrs):
        """TPMS_ATTEST and TPMT_SIGNATURE."""
        bits = sum(1 << p for p in pcrs).to_bytes(3, "little")
        rsp = self.ok(0x158, struct.pack(">I", handle) + PASSWORD
                      + struct.pack(">H", len(nonce)) + nonce
                      + struct.pack(">HIHB", 0x10, 1, 0xB, 3) + bits, True)
        size, = struct.unpack(">H", rsp[4:6])
        return rsp[6:6 + size], rsp[6 + size:-5]


# The empty authorisation, as sessions area.
PASSWORD = struct.pack(">IIHBH", 9, 0x40000009, 0, 1, 0)
ECC_TEMPLATE = bytes.fromhex(
    "0023000b00050072000000100018000b000300100020") + bytes(32) + \
    bytes.fromhex("0020") + bytes(32)
