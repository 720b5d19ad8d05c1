# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# The vTPM of the virtual CVM: boot, device, resource manager, keys, failures.

import errno
import hashlib
import os
import re
import select
import struct
import subprocess
import sys
import tempfile
import threading

from evidence import (chain_ok, ecdsa_ok, key_of, log_events, openssl, pem_of,
                      replay)
from machine import ECC_TEMPLATE, PASSWORD, Failed, Machine, Tpm, vcvm
from tap import main, opened, refused, test

GET_RANDOM = bytes.fromhex("80010000000c0000017b0008")
PCRS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14)


@test
def control_answers(m):
    assert int(m.ctl("ping")) == int(m.read("pid"))


@test
def second_start_refused(m):
    try:
        vcvm("start", m.path)
    except Failed as e:
        assert "running" in str(e)
    else:
        raise AssertionError("started twice")
    assert Tpm(m).get_random()


@test
def unknown_knob_refused(m):
    for words in (("set", "no.such", "1"), ("set", "debug", "maybe"),
                  ("set", "tsm.ebusy", "-2"), ("get", "no.such"),
                  ("pcr", "extend", "24", "x"), ("nothing",)):
        try:
            m.ctl(*words)
        except Failed:
            continue
        raise AssertionError(words)


def pcr_values(m, bank):
    text = m.tools("tpm2_pcrread", bank)
    return {int(n): bytes.fromhex(v)
            for n, v in re.findall(r"(\d+)\s*: 0x([0-9A-F]+)", text)}


@test
def log_replays_to_pcrs(m):
    log = m.event_log()
    for bank in ("sha1", "sha256", "sha384"):
        values, real = replay(log, bank), pcr_values(m, bank)
        assert sorted(values) == sorted(PCRS)
        for pcr in PCRS:
            assert values[pcr] == real[pcr], (bank, pcr)


@test
def no_bank_beyond_the_log(m):
    assert "sha512" not in m.tools("tpm2_getcap", "pcrs") or \
        not pcr_values(m, "sha512")


@test
def log_read_by_tpm2_eventlog(m):
    text = m.tools("tpm2_eventlog", m.file(
        "root/sys/kernel/security/tpm0/binary_bios_measurements"))
    real = pcr_values(m, "sha256")
    pcrs = text[text.index("\npcrs:"):]
    sha256 = pcrs[pcrs.index("sha256:"):pcrs.index("sha384:")]
    found = re.findall(r"(\d+)\s*: 0x([0-9a-f]+)", sha256)
    assert len(found) == len(PCRS)
    for n, value in found:
        assert real[int(n)].hex() == value, n


@test
def log_digests_cover_data(m):
    covered = (4, 8, 0x11, 0x80000001, 0x80000002, 0x80000006, 0x80000007,
               0x800000E0)
    seen = set()
    for _, kind, digests, data in log_events(m.event_log()):
        if kind in covered:
            seen.add(kind)
            assert digests["sha256"] == hashlib.sha256(data).digest()
        for prefix in (b"grub_cmd: ", b"kernel_cmdline: "):
            if kind == 0xD and data.startswith(prefix):
                text = data[len(prefix):-1]
                assert digests["sha384"] == hashlib.sha384(text).digest()
    assert seen == set(covered)


@test
def log_names_the_technology(m):
    data = [d for _, kind, _, d in log_events(m.event_log()) if kind == 0x11]
    assert data == [b"GCE NonHostInfo\0" + b"\4" + bytes(15)]


TOOLS = """set -e
cd "$(mktemp -d -p "$1")"
for i in 1 2 3; do
	tpm2_createprimary -Q -C o -G ecc -c p.ctx
	tpm2_create -Q -C p.ctx -G ecc -u k.pub -r k.priv
	tpm2_load -Q -C p.ctx -u k.pub -r k.priv -c k.ctx
	tpm2_startauthsession --policy-session -S s.ctx
	tpm2_policypcr -Q -S s.ctx -l sha256:0,7
	tpm2_flushcontext s.ctx
	echo hi >m
	tpm2_sign -Q -c k.ctx -g sha256 -o sig m
	tpm2_verifysignature -Q -c k.ctx -g sha256 -m m -s sig
	echo secret | tpm2_create -Q -C p.ctx -i- -u s.pub -r s.priv
	tpm2_load -Q -C p.ctx -u s.pub -r s.priv -c sealed.ctx
	test "$(tpm2_unseal -c sealed.ctx)" = secret
	tpm2_hash -Q -C o -g sha256 -o h -t t m
done"""


@test
def four_processes_share_the_tpm(m):
    env = dict(os.environ, TPM2TOOLS_TCTI="device:" + m.tpm)
    with tempfile.TemporaryDirectory() as scratch:
        jobs = [subprocess.Popen(["bash", "-c", TOOLS, "tools", scratch],
                                 env=env, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT) for _ in range(4)]
        for job in jobs:
            out, _ = job.communicate(timeout=120)
            assert job.returncode == 0, out


@test
def threads_share_the_tpm(m):
    seen, bad = set(), []

    def work():
        try:
            with Tpm(m) as tpm:
                handle, public = tpm.create_primary(ECC_TEMPLATE)
                name = b"\0\x0b" + hashlib.sha256(public).digest()
                for _ in range(50):
                    seen.add(tpm.get_random())
                    assert tpm.read_public(handle) == name
        except Exception as e:  # pylint: disable=broad-except
            bad.append(e)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not bad, bad
    assert len(seen) == 8 * 50


@test
def spaces_see_only_their_own(m):
    with Tpm(m) as a, Tpm(m) as b:
        handle, _ = a.create_primary(ECC_TEMPLATE)
        assert handle == 0x80FFFFFF
        assert a.transient_handles() == (handle,)
        assert b.transient_handles() == ()
        refused(errno.EINVAL, b.read_public, handle)
        for _ in range(3):
            b.create_primary(ECC_TEMPLATE)
        assert len(b.transient_handles()) == 3
        rc, _ = b.run(0x165, struct.pack(">I", 0x80FFFFFE))
        assert rc == 0
        assert b.transient_handles() == (0x80FFFFFD, 0x80FFFFFF)
        assert len(a.read_public(handle)) == 34


@test
def three_objects_fit(m):
    with Tpm(m) as tpm:
        for _ in range(3):
            tpm.create_primary(ECC_TEMPLATE)
        try:
            tpm.create_primary(ECC_TEMPLATE)
        except AssertionError as e:
            assert str(e) == "0x902", e
        else:
            raise AssertionError("a fourth object was loaded")


@test
def sessions_survive_a_swap(m):
    with Tpm(m) as a, Tpm(m) as b:
        sessions = [a.start_session() for _ in range(3)]
        for _ in range(3):
            b.start_session()
        for s in sessions:
            assert a.ok(0x189, struct.pack(">I", s))[2:] == bytes(32)


@test
def close_flushes_sessions_and_objects(m):
    for _ in range(80):  # a TPM has 64 active sessions
        with Tpm(m) as tpm:
            tpm.start_session()
            tpm.create_primary(ECC_TEMPLATE)


@test
def close_flushes_saved_sessions(m):
    with Tpm(m) as other:
        for _ in range(80):
            with Tpm(m) as tpm:
                tpm.start_session()
                other.get_random()  # puts the session aside


@test
def forked_child_uses_the_device(m):
    with Tpm(m) as tpm:
        tpm.get_random()
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if len(tpm.get_random()) == 16 else 1)
            finally:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
        assert len(tpm.get_random()) == 16


@test
def device_errno_values(m):
    with Tpm(m) as tpm:
        refused(errno.EINVAL, os.write, tpm.fd, b"\x80\x01")
        refused(errno.EINVAL, os.write, tpm.fd, GET_RANDOM[:-1])
        refused(errno.E2BIG, os.write, tpm.fd, bytes(4097))
        assert os.read(tpm.fd, 100) == b""
        os.write(tpm.fd, GET_RANDOM)
        refused(errno.EBUSY, os.write, tpm.fd, GET_RANDOM)
        assert len(os.read(tpm.fd, 4096)) == 20


@test
def device_reads_in_parts(m):
    with Tpm(m) as tpm:
        os.write(tpm.fd, GET_RANDOM)
        head = os.read(tpm.fd, 10)
        assert struct.unpack(">HII", head) == (0x8001, 20, 0)
        os.write(tpm.fd, GET_RANDOM)  # the rest may be left unread
        assert len(os.read(tpm.fd, 4096)) == 20
        assert os.read(tpm.fd, 4096) == b""


@test
def device_polls(m):
    with Tpm(m, os.O_NONBLOCK) as tpm, m.set("tpm.delay_ms", 200):
        poll = select.poll()
        poll.register(tpm.fd, select.POLLIN)
        assert poll.poll(0) == []
        os.write(tpm.fd, GET_RANDOM)
        assert poll.poll(0) == []
        refused(errno.EBUSY, os.write, tpm.fd, GET_RANDOM)
        assert poll.poll(5000) == [(tpm.fd, select.POLLIN)]
        assert len(os.read(tpm.fd, 4096)) == 20
        assert poll.poll(0) == []


@test
def unknown_command_answered(m):
    with Tpm(m) as tpm:
        rc, _ = tpm.run(0x1FE)
        assert rc == (11 << 16 | 0x143)


@test
def error_injected(m):
    m.ctl("tpm", "error", "0x922", "2")
    with Tpm(m) as tpm:
        assert [tpm.run(0x17B, b"\0\4")[0] for _ in range(3)] == \
            [0x922, 0x922, 0]


@test
def commands_counted(m):
    m.ctl("counters", "reset")
    with Tpm(m) as tpm:
        for _ in range(5):
            tpm.get_random()
    assert m.counter("tpm.commands") == 5
    assert m.counter("tpm.command.0x17b") == 5
    assert m.counter("tpm.opens") == 1


def ak_public(m, template, cert):
    with Tpm(m) as tpm:
        der = tpm.nv_read(cert)
        handle, public = tpm.create_primary(tpm.nv_read(template))
        return der, public, tpm.read_public(handle)


@test
def ak_made_from_its_template(m):
    facts = m.facts()["aks"]
    for index, kind in ((0x01C10000, "ak_rsa"), (0x01C10002, "ak_ecc")):
        _, public, name = ak_public(m, index + 1, index)
        assert name.hex() == facts[kind]["name"]
        assert public.hex() == facts[kind]["public"]


@test
def ak_certificates_chain(m):
    root = m.read("collateral/google/ak-root.pem")
    inter = m.read("collateral/google/ak-intermediates.pem")
    for index in (0x01C10000, 0x01C10002):
        der, public, _ = ak_public(m, index + 1, index)
        pem = pem_of(der)
        assert chain_ok(pem, inter, root)
        spki = openssl("pkey", "-pubin", "-outform", "DER", data=key_of(pem))
        half = public[-256:] if index == 0x01C10000 else public[-32:]
        assert half in spki
        text = openssl("x509", "-noout", "-text", data=pem).decode()
        assert "Digital Signature\n" in text
        assert "Key Encipherment" not in text
        ext = m.facts()["project_id"].encode()
        assert b"1.3.6.1.4.1.11129.2.1.21" in text.encode() and ext in der


@test
def ak_certificate_of_another_machine(m):
    own, public, _ = ak_public(m, 0x01C10003, 0x01C10002)
    with m.set("tpm.ak", "other"):
        other, again, _ = ak_public(m, 0x01C10003, 0x01C10002)
        assert again == public and public[-32:] not in other
        assert chain_ok(pem_of(other),
                        m.read("collateral/google/ak-intermediates.pem"),
                        m.read("collateral/google/ak-root.pem"))
    assert public[-32:] in own
    assert public[-32:] in ak_public(m, 0x01C10003, 0x01C10002)[0]
    m.ctl("set", "tpm.ak", "none")
    with Tpm(m) as tpm:
        assert tpm.run(0x169, struct.pack(">I", 0x01C10002))[0] == 0x18B
    m.ctl("reset")


@test
def quote_verifies(m):
    nonce = os.urandom(32)
    with Tpm(m) as tpm:
        handle, public = tpm.create_primary(tpm.nv_read(0x01C10003))
        cert = pem_of(tpm.nv_read(0x01C10002))
        attest, sig = tpm.quote(handle, nonce, PCRS)
    assert attest[:6] == bytes.fromhex("ff5443478018")
    name = b"\0\x0b" + hashlib.sha256(public).digest()
    signer = hashlib.sha256(bytes.fromhex("4000000b") + name).digest()
    assert attest[6:8] == b"\0\x22" and attest[10:42] == signer
    assert attest[42:76] == b"\0\x20" + nonce
    values = pcr_values(m, "sha256")
    want = hashlib.sha256(b"".join(values[p] for p in PCRS)).digest()
    assert attest[-32:] == want
    n, = struct.unpack(">H", sig[4:6])
    r, s = sig[6:6 + n], sig[8 + n:]
    assert ecdsa_ok(key_of(cert), "sha256", attest, int.from_bytes(r, "big"),
                    int.from_bytes(s, "big"))
    assert not ecdsa_ok(key_of(cert), "sha256", attest + b"x",
                        int.from_bytes(r, "big"), int.from_bytes(s, "big"))


@test
def guest_cannot_rewrite_nv(m):
    with Tpm(m) as tpm:
        cert = tpm.nv_read(0x01C10002)
        body = struct.pack(">II", 0x4000000C, 0x01C10002) + \
            PASSWORD + struct.pack(">H", 4) + b"junk" + struct.pack(">H", 0)
        assert tpm.run(0x137, body, True)[0] == 0x9A2  # TPM_RC_BAD_AUTH
        assert tpm.nv_read(0x01C10002) == cert


def clock(tpm):
    rsp = tpm.ok(0x181)
    return struct.unpack(">QIIB", rsp[8:25])


@test
def pcr_extended(m):
    before = pcr_values(m, "sha256")[8]
    m.ctl("pcr", "extend", "8", "surprise")
    want = hashlib.sha256(before + hashlib.sha256(b"surprise").digest())
    assert pcr_values(m, "sha256")[8] == want.digest()
    m.ctl("tpm", "reboot")
    assert pcr_values(m, "sha256")[8] == before


@test
def killed_tpm_is_gone(m):
    with Tpm(m) as old:
        resets = clock(old)[1]
        handle, _ = old.create_primary(ECC_TEMPLATE)
        m.ctl("tpm", "kill")
        refused(errno.EIO, os.write, old.fd, GET_RANDOM)
        refused(errno.ENODEV, opened, m.tpm, os.O_RDWR)
        m.ctl("tpm", "start")
        refused(errno.EIO, os.write, old.fd, GET_RANDOM)
        with Tpm(m) as new:
            assert clock(new)[1] == resets + 1
            refused(errno.EINVAL, new.read_public, handle)
        refused(errno.EIO, os.write, old.fd, GET_RANDOM)
    log_replays_to_pcrs(m)


@test
def killed_tpm_fails_a_waiting_reader(m):
    with Tpm(m, os.O_NONBLOCK) as tpm:
        m.ctl("set", "tpm.delay_ms", "300")
        os.write(tpm.fd, GET_RANDOM)
        m.ctl("tpm", "kill")
        m.ctl("reset")
        try:
            assert len(os.read(tpm.fd, 4096)) == 20
        except OSError as e:
            assert e.errno == errno.EIO
    m.ctl("tpm", "start")


@test
def another_kernel_boots(m):
    before, name = pcr_values(m, "sha256"), m.facts()["aks"]
    other = m.file("other.json")
    with open(other, "w", encoding="utf-8") as f:
        f.write('{"kernel": "rescue", "cmdline": "init=/bin/sh"}')
    m.ctl("boot", other)
    after = pcr_values(m, "sha256")
    assert [p for p in range(24) if before[p] != after[p]] == [8, 9]
    assert m.facts()["aks"] == name
    log_replays_to_pcrs(m)
    with open(other, "w", encoding="utf-8") as f:
        f.write('{"secure_boot": false, "firmware_version": 1}')
    m.ctl("boot", other)
    after = pcr_values(m, "sha256")
    assert [p for p in range(24) if before[p] != after[p]] == [0, 7]
    log_replays_to_pcrs(m)


@test
def bad_boot_description_refused(m):
    bad = m.file("bad.json")
    for text in ("[]", '{"kernal": "x"}', '{"secure_boot": 1}', "{"):
        with open(bad, "w", encoding="utf-8") as f:
            f.write(text)
        try:
            m.ctl("boot", bad)
        except Failed:
            continue
        raise AssertionError(text)


@test
def restart_is_the_same_machine(m):
    facts = m.facts()
    m.stop()
    assert not os.path.ismount(m.file("root"))
    m.start()
    again = m.facts()
    for key in ("aks", "chip_id", "pcrs_sha256", "roots", "instance_id"):
        assert facts[key] == again[key], key
    assert facts["report_id"] != again["report_id"]


@test
def crash_is_survived(m):
    os.kill(int(m.read("pid")), 9)
    vcvm("stop", m.path)
    m.start()
    log_replays_to_pcrs(m)


@test
def clone_is_a_copy(m):
    path = m.path + "-clone"
    vcvm("clone", m.path, path)
    copy = Machine(path)
    try:
        a, b = m.facts(), copy.facts()
        for key in ("aks", "chip_id", "pcrs_sha256"):
            assert a[key] == b[key], key
        with Tpm(m) as x, Tpm(copy) as y:
            assert x.get_random() != y.get_random()
    finally:
        copy.stop()


@test
def device_modes_are_enforced(m):
    def as_nobody():
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                opened(m.tpm, os.O_RDWR)
                os._exit(0)
            except OSError as e:
                os._exit(e.errno)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    os.chmod(m.path, 0o755)
    assert as_nobody() == errno.EACCES
    m.ctl("chmod", "dev/tpmrm0", "0666")
    assert os.stat(m.tpm).st_mode & 0o777 == 0o666
    assert as_nobody() == 0
    os.chmod(m.tpm, 0o600)
    assert as_nobody() == errno.EACCES
    m.ctl("chown", "dev/tpmrm0", "65534", "65534")
    assert as_nobody() == 0


if __name__ == "__main__":
    machine = Machine(sys.argv[1], "--pki", sys.argv[2])
    try:
        main(machine)
    finally:
        machine.stop()
