# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# configfs-tsm of the virtual CVM: the kernel's ABI, SNP reports, TDX quotes,
# collateral, and every misbehaviour.

import errno
import glob
import hashlib
import json
import os
import struct
import sys
import threading
import time

from evidence import (Snp, Tdx, crl_signed_by, key_of, openssl, pem_of, replay,
                      revoked_serials, signed_json_ok)
from machine import Entry, Machine, Tpm
from tap import main, opened, over, refused, test

PKI = sys.argv[2]
DATA = bytes(range(64))


class Machines:
    """One machine of each kind, started when first wanted."""

    def __init__(self, base):
        self.base = base
        self.running = {}

    def get(self, *options):
        key = "_".join(o.lstrip("-") for o in options) or "default"
        if key not in self.running:
            self.running[key] = Machine(os.path.join(self.base, key), "--pki",
                                        PKI, *options)
        return self.running[key]

    def tdx(self):
        return self.get("--platform", "tdx")

    def stop(self):
        for m in self.running.values():
            m.stop()


def report_of(m, data=DATA):
    with Entry(m) as e:
        e.write("inblob", data)
        return Snp(e.read("outblob"), e.read("auxblob"))


def quote_of(m, data=DATA):
    with Entry(m) as e:
        e.write("inblob", data)
        return Tdx(e.read("outblob"))


def both(m):
    """Machines of both technologies."""
    return ((m.get(), b"sev_guest\n"), (m.tdx(), b"tdx_guest\n"))


@test
def providers(m):
    for machine, provider in both(m):
        with Entry(machine) as e:
            assert e.read("provider") == provider
            assert e.generation() == 0


@test
def attributes_and_modes(m):
    common = {"generation": 0o444, "provider": 0o444, "inblob": 0o200,
              "outblob": 0o444}
    snp = dict(common, privlevel=0o200, privlevel_floor=0o444, auxblob=0o444)
    for machine, wanted in ((m.get(), snp), (m.tdx(), common)):
        with Entry(machine) as e:
            found = {n: os.stat(e.attr(n)).st_mode & 0o7777
                     for n in os.listdir(e.path)}
            assert found == wanted, found
            assert os.stat(e.path).st_mode & 0o7777 == 0o755


@test
def no_tsm_without_tee(m):
    for platform, byte in (("sev", 1), ("none", 0)):
        machine = m.get("--platform", platform)
        assert not os.path.exists(machine.reports)
        assert b"GCE NonHostInfo\0" + bytes([byte]) in machine.event_log()


@test
def outblob_without_inblob(m):
    for machine, _ in both(m):
        with Entry(machine) as e:
            refused(errno.EINVAL, e.read, "outblob")


@test
def inblob_of_wrong_size(m):
    for machine, _ in both(m):
        for size in (1, 32, 63):
            with Entry(machine) as e:
                e.write("inblob", bytes(size))
                assert e.generation() == 1
                refused(errno.EINVAL, e.read, "outblob")
        with Entry(machine) as e:
            refused(errno.EFBIG, e.write, "inblob", bytes(65))


@test
def access_by_direction(m):
    with Entry(m.get()) as e:
        for name in ("inblob", "privlevel"):
            refused(errno.EACCES, opened, e.attr(name))
            refused(errno.EACCES, opened, e.attr(name), os.O_RDWR)
        for name in ("outblob", "auxblob", "generation", "provider",
                     "privlevel_floor"):
            refused(errno.EACCES, opened, e.attr(name), os.O_WRONLY)


@test
def inblob_counts_when_closed(m):
    with Entry(m.get()) as e:
        fd = os.open(e.attr("inblob"), os.O_WRONLY)
        assert os.write(fd, DATA[:40]) == 40
        assert os.write(fd, DATA[40:]) == 24
        assert e.generation() == 0
        os.close(fd)
        assert e.generation() == 1
        assert Snp(e.read("outblob")).report_data == DATA


@test
def directories(m):
    machine = m.get()
    with Entry(machine) as e:
        refused(errno.EEXIST, os.mkdir, e.path)
        refused(errno.EPERM, os.mkdir, e.attr("sub"))
        refused(errno.EACCES, opened, e.attr("new"), os.O_CREAT | os.O_WRONLY)
        refused(errno.EPERM, os.unlink, e.attr("inblob"))
        refused(errno.ENOTDIR, os.rmdir, e.attr("inblob"))
        assert os.listdir(machine.reports) == ["entry"]
    assert os.listdir(machine.reports) == []
    refused(errno.ENOENT, os.rmdir, e.path)
    parent = os.path.dirname(machine.reports)
    refused(errno.EPERM, os.mkdir, os.path.join(parent, "x"))
    refused(errno.EPERM, os.rmdir, machine.reports)


@test
def removed_under_a_reader(m):
    with Entry(m.get()) as e:
        e.write("inblob", DATA)
        reader = os.open(e.attr("outblob"), os.O_RDONLY)
        writer = os.open(e.attr("privlevel"), os.O_WRONLY)
    refused(errno.ENOENT, os.read, reader, 10)
    refused(errno.ENOENT, os.write, writer, b"0")
    os.close(reader)
    os.close(writer)


@test
def privlevels(m):
    with Entry(m.get()) as e:
        assert e.read("privlevel_floor") == b"0\n"
        for bad in (b"4", b"-1", b"x", b"", b"1 2", b"0x"):
            if bad:
                refused(errno.EINVAL, e.write, "privlevel", bad)
        refused(errno.ERANGE, e.write, "privlevel", b"99999999999")
        assert e.generation() == 0
        e.write("privlevel", b"2\n")
        e.write("inblob", DATA)
        assert e.generation() == 2
        assert Snp(e.read("outblob")).vmpl == 2


@test
def report_is_kept_until_written(m):
    machine = m.get()
    with Entry(machine) as e:
        e.write("inblob", DATA)
        machine.ctl("counters", "reset")
        first = e.read("outblob")
        assert e.read("outblob") == first
        assert e.read("auxblob")
        assert machine.counter("tsm.reports") == 1
        assert e.generation() == 1
        e.write("inblob", bytes(64))
        assert e.generation() == 2
        assert Snp(e.read("outblob")).report_data == bytes(64)


@test
def entries_side_by_side(m):
    bad = []

    def work(n):
        data = bytes([n]) * 64
        try:
            for i in range(5):
                with Entry(m.get(), "e%d-%d" % (n, i)) as e:
                    e.write("inblob", data)
                    assert Snp(e.read("outblob")).report_data == data
                    assert e.generation() == 1
        except Exception as e:  # pylint: disable=broad-except
            bad.append(e)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not bad, bad


@test
def svsm_guest(m):
    machine = m.get("--vmpl", "2")
    with Entry(machine) as e:
        assert e.read("privlevel_floor") == b"2\n"
        refused(errno.EINVAL, e.write, "privlevel", b"1")
        refused(errno.EINVAL, e.write, "service_guid", b"c476f1eb")
        e.write("service_guid", b"c476f1eb-0123-45a5-9641-b4e7dde5bfe3\n")
        e.write("service_manifest_version", b"0\n")
        e.write("service_provider", b"svsm\n")
        e.write("inblob", DATA)
        assert e.generation() == 4
        report, manifest = Snp(e.read("outblob")), e.read("manifestblob")
        assert report.vmpl == 0
        assert report.report_data == hashlib.sha512(DATA + manifest).digest()
        assert manifest.hex() == machine.facts()["ek_public"]
        e.write("service_provider", b"other\n")
        refused(errno.EINVAL, e.read, "outblob")


def check_report(machine, report):
    product = machine.facts()["product"]
    kind = machine.facts()["endorser"]
    where = "collateral/amd/" + product
    root = machine.read(where, "ark.pem")
    crl = machine.read(where, "crl-%s.der" % kind)
    ca = machine.read(where, "ask.pem" if kind == "vcek" else "asvk.pem")
    assert report.signed_by(report.leaf())
    assert report.chain_ok(root)
    assert pem_of(report.certs["ask"]) == ca
    assert pem_of(report.certs["ark"]) == root
    assert crl_signed_by(crl, root) and not revoked_serials(crl)
    assert report.signing_key == (0 if kind == "vcek" else 1)


def tcb_parts(report, product):
    """In the order of the certificate's extensions: bl, tee, snp, ucode."""
    t = report.reported_tcb
    return (t[1], t[2], t[3], t[7]) if product == "turin" else \
        (t[0], t[1], t[6], t[7])


def spl_of(cert, n):
    oid = bytes.fromhex("060a2b060104019c780103") + bytes([n])
    at = cert.index(oid) + len(oid)
    assert cert[at] == 4 and cert[at + 2] == 2
    return int.from_bytes(cert[at + 4:at + 4 + cert[at + 3]], "big")


@test
def report_above_the_floor_only(m):
    with Entry(m.get("--vmpl", "2")) as e:
        e.write("inblob", DATA)
        refused(errno.ENXIO, e.read, "outblob")
        e.write("privlevel", b"3")
        assert Snp(e.read("outblob")).vmpl == 3


@over("milan-3-vcek", "milan-2-vcek", "milan-5-vlek", "genoa-3-vlek",
      "genoa-5-vcek", "turin-5-vcek", "turin-3-vlek")
def snp_report(case, m):
    product, version, kind = case.split("-")
    machine = m.get("--product", product, "--report-version", version,
                    "--endorser", kind)
    report, facts = report_of(machine), machine.facts()
    check_report(machine, report)
    assert report.version == int(version)
    assert report.report_data == DATA
    for field in ("measurement", "host_data", "chip_id", "report_id",
                  "reported_tcb"):
        assert getattr(report, field).hex() == facts[field], field
    family = {"milan": 0x19, "genoa": 0x19, "turin": 0x1A}[product]
    assert report.fms[0] == (0 if version == "2" else family)
    assert any(report.raw[0x1f8:0x208]) == (version == "5")
    assert not any(report.raw[0x208:0x2a0])
    cert = report.leaf()
    assert tuple(spl_of(cert, n) for n in (1, 2, 3, 8)) == \
        tcb_parts(report, product)
    size = 8 if product == "turin" else 64
    assert report.hwid_in_cert(size) == (kind == "vcek")
    assert not any(report.chip_id[size:])
    if kind == "vcek":
        name = "%s-%s.der" % (report.chip_id[:size].hex(),
                              report.reported_tcb.hex())
        assert machine.read("collateral/amd/vek", name) == cert
    if product == "turin":
        assert spl_of(cert, 9) == report.reported_tcb[0]


def check_quote(machine, quote):
    where = "collateral/intel"
    root = machine.read("pki/sgx-root.pem")
    assert quote.signature_ok() and quote.qe_ok()
    crls = [machine.read(where, "root-ca.crl")] + [
        machine.read(where, n) for n in ("pck-crl-platform.der",
                                         "pck-crl-processor.der")]
    assert quote.chain_ok(root, crls)
    table = machine.read("root/sys/firmware/acpi/tables/CCEL")
    log = machine.read("root/sys/firmware/acpi/tables/data/CCEL")
    assert len(table) == 56 and sum(table) % 256 == 0
    assert struct.unpack("<Q", table[40:48])[0] == len(log)
    values = replay(log, "sha384")
    for i in range(4):
        assert quote.rtmr[i] == values.get(i + 1, bytes(48)), i


@over("4-1.0-platform", "5-1.5-platform", "5-1.0-platform", "4-1.0-processor")
def tdx_quote(case, m):
    version, body, ca = case.split("-")
    machine = m.get("--platform", "tdx", "--quote-version", version,
                    "--quote-body", body, "--pck-ca", ca)
    quote, facts = quote_of(machine), machine.facts()
    check_quote(machine, quote)
    assert quote.version == int(version)
    assert quote.body_type == (3 if body == "1.5" else 2)
    assert quote.report_data == DATA
    assert quote.mrtd.hex() == facts["mrtd"]
    assert quote.attributes == 0x10000000
    assert len(quote.tail) > 0 and not any(quote.tail)
    assert b"Intel SGX PCK %s CA" % ca.capitalize().encode() in \
        openssl("x509", "-noout", "-issuer", data=quote.leaf)
    for i in range(4):
        assert quote.rtmr[i].hex() == facts["rtmr%d" % i]


@test
def intel_json_is_signed(m):
    machine = m.tdx()
    where = "collateral/intel"
    fmspc = machine.facts()["fmspc"]
    for name, member, chain in (
            ("tcbinfo-%s.json" % fmspc, "tcbInfo", "tcbinfo-chain.pem"),
            ("qe-identity.json", "enclaveIdentity",
             "qe-identity-chain.pem")):
        text = machine.read(where, name).decode()
        signer = machine.read(where, chain)
        assert signed_json_ok(text, member, signer)
        assert not signed_json_ok(text.replace("UpToDate", "UptoDate"),
                                  member, signer)
        body = json.loads(text)[member]
        assert body["tcbEvaluationDataNumber"] == 19
        assert b"Intel SGX TCB Signing" in \
            openssl("x509", "-noout", "-subject", data=signer)


@test
def roots_are_told(m):
    for machine, path, label in (
            (m.get(), "collateral/amd/milan/ark.pem", "ark"),
            (m.tdx(), "pki/sgx-root.pem", "sgx_root"),
            (m.get(), "collateral/google/ak-root.pem", "ak_root")):
        roots = json.loads(machine.read("pki/roots.json"))[label]
        pem = machine.read(path)
        der = openssl("x509", "-outform", "DER", data=pem)
        spki = openssl("pkey", "-pubin", "-outform", "DER", data=key_of(pem))
        assert roots["cert_sha256"] == hashlib.sha256(der).hexdigest()
        assert roots["spki_sha256"] == hashlib.sha256(spki).hexdigest()


@test
def keys_are_private(m):
    for path in glob.glob(m.get().file("pki", "*.key")):
        assert os.stat(path).st_mode & 0o777 == 0o600, path


@over("ebusy", "eagain", "eio")
def failing_reports(knob, m):
    name = knob.upper()
    for machine, _ in both(m):
        with machine.set("tsm." + knob, 2), Entry(machine) as e:
            e.write("inblob", DATA)
            refused(getattr(errno, name), e.read, "outblob")
            refused(getattr(errno, name), e.read, "outblob")
            assert e.read("outblob")
        with machine.set("tsm." + knob, -1), Entry(machine) as e:
            e.write("inblob", DATA)
            for _ in range(5):
                refused(getattr(errno, name), e.read, "outblob")


@test
def empty_report(m):
    for machine, _ in both(m):
        with machine.set("tsm.empty", 1), Entry(machine) as e:
            e.write("inblob", DATA)
            assert e.read("outblob") == b""
            e.write("inblob", DATA)
            assert len(e.read("outblob")) >= 1184


@test
def another_writer(m):
    with m.get().set("tsm.generation", 1), Entry(m.get()) as e:
        e.write("inblob", DATA)
        assert e.generation() == 1
        e.read("outblob")
        assert e.generation() == 2


@test
def stale_report(m):
    machine = m.get()
    old = report_of(machine, b"\1" * 64)
    with machine.set("tsm.stale", 1):
        assert report_of(machine).raw == old.raw
        assert report_of(machine).report_data == DATA


@test
def wrong_nonce(m):
    machine = m.get()
    with machine.set("tsm.wrong_nonce", 1):
        report = report_of(machine)
        assert report.report_data != DATA
        check_report(machine, report)
        assert report_of(machine).report_data == DATA


@test
def garbage_and_truncated(m):
    machine = m.get()
    with Entry(machine) as e:
        with machine.set("tsm.garbage", 1):
            e.write("inblob", DATA)
            assert DATA not in e.read("outblob")
        with machine.set("tsm.truncated", 1):
            e.write("inblob", DATA)
            assert len(e.read("outblob")) == 592


@test
def other_provider(m):
    with m.get().set("tsm.provider", "other"), Entry(m.get()) as e:
        assert e.read("provider") == b"tdx_guest\n"


@test
def slow_reports(m):
    machine = m.get()
    with machine.set("tsm.delay_ms", 300):
        start = time.monotonic()
        report_of(machine)
        assert 0.3 <= time.monotonic() - start < 3


@test
def throttled_reports(m):
    machine = m.get()
    with machine.set("tsm.min_interval_ms", 300):
        start = time.monotonic()
        for _ in range(3):
            report_of(machine)
        assert 0.6 <= time.monotonic() - start < 5


@test
def slow_report_leaves_the_tpm_alone(m):
    machine = m.get()
    with machine.set("tsm.delay_ms", 1000):
        slow = threading.Thread(target=report_of, args=(machine,))
        slow.start()
        time.sleep(0.1)
        start = time.monotonic()
        with Tpm(machine) as tpm:
            tpm.get_random()
        assert os.listdir(machine.reports) == ["entry"]
        assert time.monotonic() - start < 0.5
        slow.join()


@test
def debug_and_migratable(m):
    for knob, snp, tdx in (("debug", 1 << 19, 1), ("migratable", 1 << 18,
                                                  1 << 29)):
        machine = m.get()
        assert not report_of(machine).policy & snp
        with machine.set(knob, "on"):
            report = report_of(machine)
            assert report.policy & snp
            check_report(machine, report)
        assert not quote_of(m.tdx()).attributes & tdx
        with m.tdx().set(knob, "on"):
            quote = quote_of(m.tdx())
            assert quote.attributes & tdx
            check_quote(m.tdx(), quote)


@test
def old_tcb(m):
    machine = m.get()
    new = report_of(machine)
    with machine.set("tcb", "old"):
        old = report_of(machine)
    check_report(machine, old)
    assert old.reported_tcb[7] < new.reported_tcb[7]
    assert spl_of(old.leaf(), 8) == old.reported_tcb[7]
    with m.tdx().set("tcb", "old"):
        quote = quote_of(m.tdx())
    check_quote(m.tdx(), quote)
    assert quote.tee_tcb_svn[0] < quote_of(m.tdx()).tee_tcb_svn[0]


@test
def provisional_firmware(m):
    with m.get().set("provisional", "on"):
        report = report_of(m.get())
    assert report.current_tcb[7] == report.committed_tcb[7] + 1
    check_report(m.get(), report)


@test
def foreign_root(m):
    machine = m.get()
    root = machine.read("collateral/amd/milan/ark.pem")
    with machine.set("root", "foreign"):
        report = report_of(machine)
    assert report.signed_by(report.leaf())
    assert not report.chain_ok(root)
    assert report.chain_ok(pem_of(report.certs["ark"]))
    names = [openssl("x509", "-noout", "-subject", data=pem)
             for pem in (root, pem_of(report.certs["ark"]))]
    assert names[0] == names[1]
    with m.tdx().set("root", "foreign"):
        quote = quote_of(m.tdx())
    assert quote.signature_ok() and quote.qe_ok()
    assert not quote.chain_ok(m.tdx().read("pki/sgx-root.pem"))
    assert quote.chain_ok(quote.root)


@test
def other_chip(m):
    machine = m.get()
    with machine.set("chip", "other"):
        report = report_of(machine)
        check_report(machine, report)
        assert not report.hwid_in_cert() and any(report.chip_id)
    with machine.set("chip", "masked"):
        assert not any(report_of(machine).chip_id)


@test
def revoked_by_amd(m):
    machine = m.get()
    where = "collateral/amd/milan"
    with machine.set("revoked", "ca"):
        for kind, ca in (("vcek", "ask"), ("vlek", "asvk")):
            crl = machine.read(where, "crl-%s.der" % kind)
            serial = openssl("x509", "-noout", "-serial",
                             data=machine.read(where, ca + ".pem"))
            assert crl_signed_by(crl, machine.read(where, "ark.pem"))
            assert revoked_serials(crl) == [serial.strip().split(b"=")[1]]
    assert not revoked_serials(machine.read(where, "crl-vcek.der"))


@test
def revoked_by_intel(m):
    machine = m.tdx()
    where = "collateral/intel"
    root = machine.read("pki/sgx-root.pem")
    names = ("root-ca.crl", "pck-crl-platform.der", "pck-crl-processor.der")
    quote = quote_of(machine)
    for which in ("ca", "leaf"):
        with machine.set("revoked", which):
            crls = [machine.read(where, n) for n in names]
            assert quote.chain_ok(root) and not quote.chain_ok(root, crls)
    assert quote.chain_ok(root, [machine.read(where, n) for n in names])


@over("expired", "future")
def collateral(case, m):
    machine = m.tdx()
    root = machine.read("pki/sgx-root.pem")
    path = ("collateral/intel", "qe-identity.json")
    with machine.set("collateral", case):
        crl = machine.read("collateral/intel", "root-ca.crl")
        crls = [crl, machine.read("collateral/intel", "pck-crl-platform.der")]
        assert crl_signed_by(crl, root)
        assert not quote_of(machine).chain_ok(root, crls)
        text = machine.read(*path).decode()
        assert signed_json_ok(text, "enclaveIdentity", machine.read(
            "collateral/intel/qe-identity-chain.pem"))
        identity = json.loads(text)["enclaveIdentity"]
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        assert (identity["nextUpdate"] < now) == (case == "expired")
        assert (identity["issueDate"] > now) == (case == "future")


@test
def other_measurement(m):
    value = os.urandom(48)
    with m.get().set("measurement", value.hex()):
        report = report_of(m.get())
        assert report.measurement == value
        check_report(m.get(), report)
    with m.tdx().set("measurement", value.hex()):
        assert quote_of(m.tdx()).mrtd == value
    with m.get().set("host_data", value[:32].hex()):
        assert report_of(m.get()).host_data == value[:32]
    assert report_of(m.get()).measurement != value


@test
def other_vmpl(m):
    with m.get().set("vmpl", 3):
        assert report_of(m.get()).vmpl == 3


@test
def bad_signature(m):
    with m.get().set("signature", "bad"):
        report = report_of(m.get())
        assert not report.signed_by(report.leaf())
    with m.tdx().set("signature", "bad"):
        assert not quote_of(m.tdx()).signature_ok()


@test
def fewer_certificates(m):
    with m.get().set("aux", "leaf"):
        assert list(report_of(m.get()).certs) == ["vcek"]
    with m.get().set("aux", "empty"):
        assert not report_of(m.get()).certs


@test
def quote_padding(m):
    with m.tdx().set("tdx.padding", "none"):
        assert quote_of(m.tdx()).tail == b""
    with m.tdx().set("tdx.padding", "junk"):
        assert any(quote_of(m.tdx()).tail)


@test
def requests_counted(m):
    machine = m.get()
    machine.ctl("counters", "reset")
    for _ in range(3):
        report_of(machine)
    assert machine.counter("tsm.mkdirs") == 3
    assert machine.counter("tsm.reports") == 3
    assert machine.counter("tsm.errors") == 0


if __name__ == "__main__":
    machines = Machines(sys.argv[1])
    try:
        main(machines)
    finally:
        machines.stop()
