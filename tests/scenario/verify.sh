#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# What an auditor does with evidence that somebody sent in files, on a machine
# without TEE, TPM or configuration; and what whoever sends it may try. Real
# evidence comes from VECTORS_DIR, and is skipped where there is none.

. "$(dirname "$(readlink -f "$0")")/lib.sh"

V=${VECTORS_DIR:-/nonexistent}
unset CVM_PKCS11_CONF

# answers STATUS TEXT COMMAND...: ends with that status, soon, and says TEXT.
answers() {
	local want=$1 text=$2 rc
	shift 2
	"$@" >answers.out 2>&1 </dev/null
	rc=$?
	[ "$rc" = "$want" ] && grep -qF -- "$text" answers.out && return 0
	cat answers.out
	echo "status $rc"
	return 1
}
verify() { timeout 20 "$TOKEN" verify "$@"; }
json() {
	"$TOKEN" verify --json "${@:2}" >answer.json
	/usr/bin/python3 - "$1" <<-'END'
	import json, sys
	p = json.load(open("answer.json"))
	c = {x["id"]: x["result"] for x in p["checks"]}
	sys.exit(not eval(sys.argv[1]))
	END
}
# with_little_memory OPTION...: the same, in an address space of 200 MB.
with_little_memory() { (ulimit -v 200000 && verify "$@"); }

### Files that are no evidence

mkdir -p dir
mkfifo fifo
: >empty
printf 'x' >tiny
ln -sf tiny link
head -c 1184 /dev/zero >zeros
truncate -s 3G huge
/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")'
for opt in --report --quote; do
	more=(--signature tiny --ak-public tiny --pcr-values tiny)
	[ $opt = --report ] && more=()
	check "$opt: a directory" answers 2 "dir: expected a regular file" \
	    verify $opt dir "${more[@]}"
	check "$opt: a FIFO, without waiting" answers 2 "got a FIFO" \
	    verify $opt fifo "${more[@]}"
	check "$opt: a socket" answers 2 "got a socket" \
	    verify $opt sock "${more[@]}"
	check "$opt: a device" answers 2 "got a device" \
	    verify $opt /dev/zero "${more[@]}"
	check "$opt: a symbolic link" answers 2 "got a symbolic link" \
	    verify $opt link "${more[@]}"
	check "$opt: nothing there" answers 2 "No such file" \
	    verify $opt absent "${more[@]}"
	check "$opt: an empty file" answers 2 "empty" \
	    verify $opt empty "${more[@]}"
	check "$opt: three gigabytes, in little memory" \
	    answers 2 "huge: length: expected a smaller file" \
	    with_little_memory $opt huge "${more[@]}"
done
check "a bundle that is a FIFO" answers 2 "got a FIFO" \
    verify fifo --policy tiny
check "a bundle of three gigabytes" answers 2 "smaller file" \
    with_little_memory huge --policy tiny
check "neither report nor quote" answers 2 "zeros: first 8 bytes" \
    verify --report zeros
check "one byte" answers 2 "tiny: first 8 bytes" verify --report tiny
check "no evidence at all" answers 2 "--report FILE" verify
check "a quote alone" answers 2 "expected --signature" verify --quote tiny
check "an event log alone" answers 2 "expected --quote" \
    verify --event-log tiny
check "a signature alone" answers 2 "--quote" verify --signature tiny \
    --report tiny
check "a nonce is of a bundle" answers 2 "--report-data" \
    verify --report tiny --nonce 0011223344556677
check "a bundle needs a policy" answers 2 "--policy" verify tiny

if [ ! -d "$V" ]; then
	echo "# real evidence: skipped, VECTORS_DIR names none"
	exit 0
fi

### SEV-SNP

G=$V/tpm/gce-cos-85-nonce9009
snp() {
	verify --report "$V/snp/$1.report.bin" --vek "$V/snp/$1.vek.der" \
	    --ca "$V/collateral/amd/$2" "${@:3}"
}
check "Milan, VCEK: genuine, and no more than that" \
    answers 2 "without --policy nothing says" snp milan-v2-vcek \
        ask_ark_milan.pem
check "Genoa, VCEK" answers 2 "genuine" snp genoa-v3-vcek ask_ark_genoa.pem
check "Milan, VLEK" answers 2 "genuine" snp milan-v3-vlek-vmpl1 \
    ask_ark_milan_vlek.pem --time 2025-06-01T00:00:00Z
check "the same when it has expired" answers 1 "SNP-17" \
    snp milan-v3-vlek-vmpl1 ask_ark_milan_vlek.pem --time 2026-06-01T00:00:00Z
check "another line's CAs" answers 2 "endorsements are missing" \
    snp milan-v2-vcek ask_ark_genoa.pem
check "no certificate" answers 2 "endorsements are missing" \
    verify --report "$V/snp/milan-v2-vcek.report.bin"
check "another chip's certificate" answers 1 "SNP-11" verify --report \
    "$V/snp/milan-v2-vcek.report.bin" --vek "$V/snp/genoa-v3-vcek.vek.der" \
    --ca "$V/collateral/amd/ask_ark_milan.pem"
check "a certificate that is none" answers 2 "malformed" verify --report \
    "$V/snp/milan-v2-vcek.report.bin" --vek zeros \
    --ca "$V/collateral/amd/ask_ark_milan.pem"
cp "$V/snp/milan-v2-vcek.report.bin" bad.bin
printf '\377' | dd of=bad.bin bs=1 seek=144 conv=notrunc status=none
check "one byte of the measurement changed" answers 1 "SNP-11" verify \
    --report bad.bin --vek \
    "$V/snp/milan-v2-vcek.vek.der" --ca "$V/collateral/amd/ask_ark_milan.pem"
head -c 1183 "$V/snp/milan-v2-vcek.report.bin" >short.bin
check "one byte less" answers 2 "1183 bytes" verify --report short.bin
check "REPORT_DATA of another length" answers 2 "64 bytes in hex" \
    snp milan-v2-vcek ask_ark_milan.pem --report-data 00
check "another REPORT_DATA" answers 1 "BIND-01" snp milan-v2-vcek \
    ask_ark_milan.pem --report-data "$(printf '%0128d' 0)"
check "--json tells programs the same" json "p['admit'] is False and \
    p['answer'] == 'cannot-tell' and p['judged'] == 'genuineness' and \
    c['SNP-11'] == 'pass' and c['SNP-28'] == 'skipped'" \
    --report "$V/snp/milan-v2-vcek.report.bin" \
    --vek "$V/snp/milan-v2-vcek.vek.der" \
    --ca "$V/collateral/amd/ask_ark_milan.pem"

# By a policy.
hex() { od -An -v -tx1 -j "$(($2))" -N "$3" "$1" | tr -d ' \n'; }
R=$V/snp/milan-v2-vcek.report.bin
# policy MEASUREMENT
policy() {
	cat <<-END
	{ "version": 1, "name": "auditor", "tee": "snp", "bind": "session",
	  "snp": { "products": ["milan"], "measurement": ["$1"], "crl": "skip",
	    "guest_policy": { "debug": "any" },
	    "min_tcb": { "bootloader": 0, "tee": 0,
	        "snp": 0, "microcode": 0 } } }
	END
}
policy "$(hex "$R" 0x90 48)" >policy.json
policy "$(printf '%096d' 1)" >other.json
data=$(hex "$R" 0x50 64)
check "the policy admits it" answers 0 "admitted" snp milan-v2-vcek \
    ask_ark_milan.pem --policy policy.json --report-data "$data"
check "as programs see it" json "p['admit'] is True and \
    p['answer'] == 'admit' and p['judged'] == 'policy'" --report "$R" \
    --vek "$V/snp/milan-v2-vcek.vek.der" --policy policy.json \
    --ca "$V/collateral/amd/ask_ark_milan.pem" --report-data "$data"
check "not compared is not admitted" answers 2 "REPORT_DATA was not compared" \
    snp milan-v2-vcek ask_ark_milan.pem --policy policy.json
check "another REPORT_DATA is denied" answers 1 "BIND-01" snp milan-v2-vcek \
    ask_ark_milan.pem --policy policy.json --report-data "00${data:2}"
sed 's/"crl": "skip"/"crl": "require"/' policy.json >crl.json
check "without the CRL that it requires nobody can tell" answers 2 \
    "endorsements are missing" snp milan-v2-vcek ask_ark_milan.pem \
    --policy crl.json --report-data "$data"
check "nor is a wrong one excused by that" answers 1 "BIND-01" \
    snp milan-v2-vcek ask_ark_milan.pem --policy crl.json \
    --report-data "00${data:2}"
check "another measurement is denied" answers 1 "SNP-28" snp milan-v2-vcek \
    ask_ark_milan.pem --policy other.json --report-data "$data"
check "a quote that the policy does not look at" answers 2 "--quote" \
    snp milan-v2-vcek ask_ark_milan.pem --policy policy.json \
    --quote "$G/quote-sha256.attest" --signature "$G/quote-sha256.sig" \
    --ak-public "$G/ak.tpmt_public" --pcr-values "$G/pcrs-sha256.json"
check "a policy that asks for a quote" answers 2 "--quote" snp milan-v2-vcek \
    ask_ark_milan.pem --policy "$CVM_SOURCE/conf/examples/policy-snp.json"

### TPM

quote() {
	verify --quote "$G/quote-$1.attest" --signature "$G/quote-$1.sig" \
	    --ak-public "$G/ak.tpmt_public" --pcr-values "$G/pcrs-$2.json" \
	    "${@:3}"
}
check "a quote with its event log: genuine" answers 2 "genuine" \
    quote sha256 sha256 --event-log "$G/eventlog.bin"
check "of another bank" answers 2 "genuine" quote sha384 sha384
check "SHA-1 is not taken" answers 2 "sha256 or sha384" quote sha1 sha1
check "values of another bank" answers 2 "sha384: expected the number" \
    quote sha256 sha384
sed 's/"0f35c2/"0f35c3/' "$G/pcrs-sha256.json" >pcrs.json
check "another value" answers 1 "TPM-13" verify \
    --quote "$G/quote-sha256.attest" --signature "$G/quote-sha256.sig" \
    --ak-public "$G/ak.tpmt_public" --pcr-values pcrs.json
check "another log" answers 1 "LOG-02" quote sha256 sha256 \
    --event-log "$V/tpm/eventlog-ubuntu-2404-amd-sevsnp.bin"
check "a signature of another quote" answers 1 "TPM-04" verify \
    --quote "$G/quote-sha256.attest" --signature "$G/quote-sha384.sig" \
    --ak-public "$G/ak.tpmt_public" --pcr-values "$G/pcrs-sha256.json"
check "qualifyingData of another length" answers 2 "32 bytes in hex" \
    quote sha256 sha256 --qualifying 9009
check "a quote that is none" answers 2 "TPMS_ATTEST" verify --quote zeros \
    --signature "$G/quote-sha256.sig" --ak-public "$G/ak.tpmt_public" \
    --pcr-values "$G/pcrs-sha256.json"

# A guest without a report, by the policy of one: its log says what it is. The
# nonce of this quote is shorter than ours, and is not compared.
sev() { quote sha256 sha256 --policy "$1" --event-log "$2"; }
/usr/bin/python3 - "$G" <<'END' >sev.json
import hashlib, json, sys
def file(name):
    return open(sys.argv[1] + "/" + name, "rb").read()
pcrs = json.loads(file("pcrs-sha256.json"))["sha256"]
name = "000b" + hashlib.sha256(file("ak.tpmt_public")).hexdigest()
print(json.dumps({"version": 1, "name": "auditor", "tee": "sev",
    "bind": "session",
    "event_log": {"technology": ["AMD_SEV"], "unlogged_pcrs": [10]},
    "tpm": {"bank": "sha256", "ak": {"trust": "pinned", "names": [name]},
        "pcr_sets": [{"label": "a", "pcrs":
            {k: pcrs[k] for k in ("0", "4", "7")}}]}}))
END
sed 's/000bf1/000bf2/' sev.json >sev-key.json
sed 's/AMD_SEV/INTEL_TDX/' sev.json >sev-tdx.json
check "a policy of SEV has nothing against it but its age" answers 2 \
    "qualifyingData was not compared" sev sev.json "$G/eventlog.bin"
check "of another key" answers 1 "TPM-10" sev sev-key.json "$G/eventlog.bin"
check "of another technology" answers 1 "LOG-07" \
    sev sev-tdx.json "$G/eventlog.bin"
check "with another's log" answers 1 "LOG-02" sev sev.json \
    "$V/tpm/eventlog-ubuntu-2404-amd-sevsnp.bin"
check "without a log" answers 2 "--event-log" \
    quote sha256 sha256 --policy sev.json

### Azure: the report of its paravisor, which has an SNP report in it

A=$V/azure
hcl() {
	verify --hcl-report "$1" --vek "$A/$2/vcek.der" \
	    --ca "$V/collateral/amd/ask_ark_milan.pem" \
	    --time 2025-06-01T00:00:00Z "${@:3}"
}
m=snp-milan-userdata
user=$(grep -ao '"user-data":"[0-9A-F]*' "$A/$m/hcl_report.bin" |
    cut -d '"' -f 4)
check "the report of a paravisor: genuine" answers 2 "genuine" \
    hcl "$A/$m/hcl_report.bin" $m --report-data "$user"
check "for programs" json "p['answer'] == 'cannot-tell' and \
    c['HCL-04'] == 'pass' and c['HCL-05'] == 'pass' and \
    c['BIND-01'] == 'pass' and c['HCL-06'] == 'skipped'" \
    --hcl-report "$A/$m/hcl_report.bin" --vek "$A/$m/vcek.der" \
    --ca "$V/collateral/amd/ask_ark_milan.pem" --report-data "$user" \
    --time 2025-06-01T00:00:00Z
check "for other user data" answers 1 "BIND-01" \
    hcl "$A/$m/hcl_report.bin" $m --report-data "00${user:2}"
check "one without user data" answers 2 "genuine" \
    hcl "$A/snp-milan-v0/hcl_report.bin" snp-milan-v0
check "another chip's certificate" answers 1 "SNP-11" \
    hcl "$A/snp-milan-v0/hcl_report.bin" $m
cp "$A/$m/hcl_report.bin" hcl.bin
printf '\001' | dd of=hcl.bin bs=1 seek=1760 conv=notrunc status=none
check "runtime data changed" answers 1 "HCL-04" hcl hcl.bin $m
printf 'X' | dd of=hcl.bin bs=1 conv=notrunc status=none
check "one that is none" answers 2 "HCL report" hcl hcl.bin $m
check "of a TD it needs the quote" answers 2 "--report" verify \
    --hcl-report "$A/tdx-nonce-challenge/hcl_report.bin"
check "and has to be of that TD" answers 1 "HCL-03" verify \
    --hcl-report "$A/tdx-nonce-challenge/hcl_report.bin" \
    --report "$A/tdx-2026-with-ak-chain/td_quote.bin" \
    --time 2026-06-10T00:00:00Z
check "beside a manifest" answers 2 "one owner" \
    hcl "$A/$m/hcl_report.bin" $m --svsm-manifest tiny

### SVSM: a service manifest

check "a manifest that is no key" answers 1 "SVSM-01" snp milan-v2-vcek \
    ask_ark_milan.pem --svsm-manifest zeros
check "a manifest that is one, of no known nonce" answers 2 "genuine" \
    snp milan-v2-vcek ask_ark_milan.pem \
    --svsm-manifest "$CVM_SOURCE/tests/fuzz/seeds/svsm/ek"
check "and of one" answers 1 "BIND-01" snp milan-v2-vcek ask_ark_milan.pem \
    --svsm-manifest "$CVM_SOURCE/tests/fuzz/seeds/svsm/ek" --report-data "$data"
check "a manifest without a report" answers 2 "--report" verify \
    --svsm-manifest zeros

### TDX: every quote, without and with a log

for q in "$V"/tdx/v[45]-*.quote.bin; do
	check "${q##*/}: nothing is known without collateral" \
	    answers 2 "endorsements are missing" verify --report "$q" \
	    --time 2026-07-01T00:00:00Z
done
check "a quote and the log that leads to its RTMRs" json \
    "p['answer'] == 'cannot-tell' and c['LOG-04'] == 'pass'" \
    --report "$V/tdx/v4-gce-cos113-2024.quote.bin" \
    --ccel "$V/ccel/gce-cos113.ccel.bin" --time 2025-01-01T00:00:00Z
check "and another log" answers 1 "LOG-04" verify \
    --report "$V/tdx/v4-gce-cos113-2024.quote.bin" \
    --ccel "$V/ccel/gce-vm.ccel.bin" --time 2025-01-01T00:00:00Z
check "before it was made" answers 1 "TDX-12" verify \
    --report "$V/tdx/v4-gce-2026.quote.bin" --time 2025-11-01T00:00:00Z
check "a quote of SGX" answers 2 "TDX quote" verify \
    --report "$V/tdx/sgx-v3-00a067.quote.bin"
check "years later" answers 1 "TDX-12" verify \
    --report "$V/tdx/v4-gce-2026.quote.bin" --time 2060-01-01T00:00:00Z

### Intel's collateral, as it comes

I=$V/collateral/intel
B=$I/tdx-90c06f-2026-02.json
# at TIME PATH: the quote with that collateral.
at() {
	verify --report "$V/tdx/v5-td15-90c06f-2026.quote.bin" --time "$1" \
	    --collateral "$2"
}
fresh() { at 2026-02-20T00:00:00Z "$1"; }
# like FILE PYTHON: the collateral, edited.
like() {
	cp "$B" "$1"
	edit "$1" "$2"
}
import() { timeout 20 "$TOKEN" collateral import --collateral "$@"; }
check "with the collateral of its platform, in one file, a quote is genuine" \
    answers 2 "without --policy nothing says" fresh "$B"
check "a month later it is not" answers 1 "TDX-22" \
    at 2026-04-20T00:00:00Z "$B"
like nul.json "p['pck_certificate_chain'] = '-----END CERTIFICATE-----\\n\\0'"
check "with a member that ends in a NUL, as a PCK chain does" answers 2 \
    "without --policy nothing says" fresh nul.json
like inner.json "p['pck_certificate_chain'] = 'a\\0b'"
check "but none amid one" answers 2 "a string without NUL" fresh inner.json
check "collateral of another platform is none" answers 2 \
    "endorsements are missing" at 2026-07-01T00:00:00Z \
    "$I/tdx-00806f05-2026-06.json"
like forged.json \
    "p['tcb_info'] = p['tcb_info'].replace('OutOfDate', 'UpToDate')"
check "a level made better is seen" answers 1 "TDX-26" fresh forged.json
like short.json "del p['qe_identity_signature']"
check "a member that is missing is named" answers 2 "qe_identity_signature" \
    fresh short.json
like number.json "p['pck_crl'] = 5"
check "a member that is no string, too" answers 2 "pck_crl" fresh number.json
like odd.json "p['root_ca_crl'] = p['root_ca_crl'][:-1]"
check "a list that is not hexadecimal" answers 2 "odd.json: CRL" fresh odd.json
like sgx.json "p['tcb_info'] = '[]'"
check "a TCB info that is none" answers 2 "sgx.json" fresh sgx.json
echo '[0]' >array.json
check "an array" answers 2 "array.json" fresh array.json
check "a file of nothing known" answers 2 "a CRL" fresh zeros
openssl req -x509 -newkey rsa:2048 -nodes -keyout k.pem -subj /CN=nobody \
    -out nobody.pem 2>/dev/null
check "a certificate of somebody" answers 2 "nobody" fresh nobody.pem
cat nobody.pem k.pem >key.pem
sed -i 's/^-----BEGIN CERT.*/-----BEGIN NONSENSE-----/' key.pem
check "PEM of something else" answers 2 "key.pem" fresh key.pem

mkdir sorted
check "the same is imported, with AMD's" import sorted "$B" \
    "$V/collateral/amd/ask_ark_milan.pem" --time 2026-02-20T00:00:00Z
check "under the names that appraisals look for" sh -c \
    'test -s sorted/intel/qe-identity.json -a -s sorted/amd/milan/ask.pem'
check "and does as well from there" answers 2 \
    "without --policy nothing says" fresh sorted
for f in sorted/intel/*; do
	case $f in
	*processor* | *crl-chain.pem) continue ;; # not this quote's; import's
	esac
	rm -rf without
	cp -r sorted without
	rm "without/${f#sorted/}"
	check "without ${f##*/} nobody can tell" answers 2 \
	    "endorsements are missing" fresh without
done
check "for an SNP report, too" answers 2 "genuine" verify \
    --report "$V/snp/milan-v2-vcek.report.bin" \
    --vek "$V/snp/milan-v2-vcek.vek.der" --collateral sorted
check "the answers of the PCS are imported one by one" import pcs \
    "$I/pcs-tcbinfo-50806f-2023-06.json" "$I/pcs-tdqe-identity-2023-06.json" \
    "$I/pcs-tcb-signing-chain-2018.pem" "$I/pcs-pckcrl-platform-2023-06.der" \
    "$I/pcs-rootcrl-2023-04.der" "$I/pcs-pck-platform-ca-chain.pem" \
    --time 2023-07-01T01:00:00Z
check "and tell that no level matches" answers 1 "TDX-5" verify \
    --report "$V/tdx/v4-spr-e4-2022.quote.bin" --collateral pcs \
    --time 2023-07-01T01:00:00Z
od -An -v -tx1 "$I/pcs-rootcrl-2023-04.der" | tr -d ' \n' >root.hex
check "a list in hexadecimal digits, as of a PCCS" import digits root.hex \
    "$I/pcs-pck-platform-ca-chain.pem" --time 2023-07-01T01:00:00Z
check "becomes DER" cmp digits/intel/root-ca.crl \
    "$I/pcs-rootcrl-2023-04.der"
cp -r pcs hexed
cp root.hex hexed/intel/root-ca.crl
check "under the name of one it is no DER, which is said" answers 1 \
    "cvm-token collateral import" verify --collateral hexed \
    --report "$V/tdx/v4-spr-e4-2022.quote.bin" --time 2023-07-01T01:00:00Z
sed 's/..$//' root.hex >cut.hex
sed 's/.$//' root.hex >odd.hex
sed 's/.$/g/' root.hex >none.hex
for f in cut odd none; do
	check "$f.hex is none" answers 2 "$f.hex" fresh $f.hex
done
check "two of a kind are refused" answers 2 "another one" import two "$B" \
    "$I/pcs-rootcrl-2023-04.der"
check "and nothing is written" test ! -e two
check "what is no endorsement is named" answers 2 "tiny" import two "$B" tiny
check "nor is it in the way" test ! -e two
check "what has expired is not imported" answers 1 "expired" import two "$B"
check "nor what was changed" answers 1 "tcbinfo-90c06f000000.json" \
    import two forged.json --time 2026-02-20T00:00:00Z
check "nor what has no issuer" answers 1 "intel/tcbinfo-chain.pem: no such" \
    import two "$I/pcs-tcbinfo-90c06f-2026-02.json"
check "nor is there a directory for it" test ! -e two
check "newer ones are" import june "$I/tdx-90c06f-2026-06.json" \
    --time 2026-06-10T00:00:00Z
check "what is older than in place" answers 1 "--older takes it" \
    import june "$B" --time 2026-02-20T00:00:00Z
check "is taken where that is meant" import june "$B" --older \
    --time 2026-02-20T00:00:00Z
check "and does its work" answers 2 "without --policy nothing says" fresh june
check "a time that is none" answers 2 "--time" import two "$B" --time today
