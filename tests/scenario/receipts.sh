#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# Receipts: a log that proves on another machine which key signed what, and
# that says so when a byte of it was changed, a line is missing, or none could
# be written.

. "$(dirname "$(readlink -f "$0")")/lib.sh"
. "$(dirname "$(readlink -f "$0")")/nginx.sh"

LOG=$CVM_TMP/receipts/web.receipts
PROTOCOL=$CVM_SOURCE/tests/unit/check-protocol.py
export PYTHONDONTWRITEBYTECODE=1

# log_to WORD [PATH [ON_FAILURE]]: a configuration that keeps receipts.
log_to() {
	configure snp "\"receipts\": {
	    \"log\": \"$1\", \"path\": \"${2:-$LOG}\",
	    \"on_failure\": \"${3:-refuse}\" }"
}

machine snp
mkdir receipts
configure snp
enroll snp "p['bind'] = 'operation'; p['session_max_age_s'] = 86400"
make_token
make_keys
log_to operations
printf 'transfer 100 to Alice\n' >message
openssl dgst -sha256 -binary message >digest

ecdsa() { user --sign -m ECDSA --id 02 --signature-format openssl -i digest \
    -o ec.sig; }
raw_ecdsa() { user --sign -m ECDSA-SHA256 --id 02 -i message -o raw.sig; }
rsa() { user --sign -m SHA256-RSA-PKCS --id 01 -i message -o rsa.sig; }
pss() { user --sign -m SHA256-RSA-PKCS-PSS --id 01 -i message -o pss.sig; }

# Elsewhere: no configuration, no machine; the policy and the log.
away() { CVM_PKCS11_CONF=$CVM_TMP/nowhere token "$@" --simulated \
    --policy "etc-snp/policy.json"; }
prove() { away receipt verify "$LOG"; }
prove_signature() { away receipt verify --public-key "$1" --message "$2" \
    --signature "$3" "$LOG"; }
show() { token receipt show "$LOG"; }
# json PYTHON: true of the answer, which is in a.
json() {
	/usr/bin/python3 -c 'import json, sys
a = json.load(open(sys.argv[1]))
sys.exit(not eval(sys.argv[2]))' answer.json "$1"
}
prove_json() { away --json receipt verify "$@" "$LOG" >answer.json; }

check "an ECDSA signature over a digest" ecdsa
check "one over a message" raw_ecdsa
check "an RSA signature" rsa
check "an RSA-PSS signature" pss
check "the log proves itself elsewhere" prove
check "and repeats that the machine is simulated" says \
    "OF A SIMULATED MACHINE" prove
check "to programs, too" prove_json
check "with four operations" json \
    "a['good'] and a['whole'] and a['operations'] == 4 and not a['missed']"
check "and to an independent verifier" /usr/bin/python3 "$PROTOCOL" "$LOG"
check "it is not for everybody" test "$(stat -c %a "$LOG")" = 600
check "no session has a line in it" lacks "session open" show
check "it shows who signed" says "C_Sign by 0x1041" show
check "as JSON, too" sh -c "'$TOKEN' --json receipt show '$LOG' >answer.json"
check "with every line" json \
    "sum(r.get('function', '')[:6] == 'C_Sign' for r in a['receipts']) == 4"

certificates
check "this signature is in it" prove_signature ec.pub message ec.sig
check "by the certificate, too" prove_signature ec.pem message ec.sig
check "so is the other, in PKCS#11's form" prove_signature ec.pub message \
    raw.sig
check "so is the RSA one" prove_signature rsa.pub message rsa.sig
check "so is the PSS one" prove_signature rsa.pub.der message pss.sig
printf 'transfer 900 to Alice\n' >other
refuse "not over another message" prove_signature ec.pub other ec.sig
refuse "not by another key" prove_signature rsa.pub message ec.sig
refuse "nor a signature that was not made" prove_signature rsa.pub message \
    ec.pub.der
check "which says why" says "this is not its signature" prove_signature \
    rsa.pub message ec.pub.der
refuse "without --simulated" sh -c "CVM_PKCS11_CONF=/nowhere '$TOKEN' \
    receipt verify --policy etc-snp/policy.json '$LOG'"

# damaged PYTHON: the log with its bytes b changed.
damaged() {
	/usr/bin/python3 - "$LOG" "$1" <<-'END'
	import sys
	with open(sys.argv[1], "rb") as f:
	    b = bytearray(f.read())
	exec(sys.argv[2])
	with open("damaged.receipts", "wb") as f:
	    f.write(b)
	END
}
found() { says "$1" away receipt verify damaged.receipts; }
# Where the third operation's line is, and what is on it.
line=$(grep -n '"kind":"operation"' "$LOG" | sed -n 3p | cut -d: -f1)
damaged "b = b.replace(b'\"counter\":\"1\"', b'\"counter\":\"7\"', 1)"
check "a changed counter is found" found ': counter: expected'
damaged "i = b.rindex(b'\"input_digest\":\"') + 20; b[i] ^= 1"
check "a changed digest is found" found ': input_digest: expected'
damaged "l = b.split(b'\\n'); del l[$line - 1]; b = b'\\n'.join(l)"
check "a missing line is found" found "damaged.receipts:$line: prev"
refuse "and refused" away receipt verify damaged.receipts
head=$(tail -n 1 "$LOG" | sed 's/.*"hash":"//; s/"}$//')
damaged "l = b.split(b'\\n'); b = b'\\n'.join(l[:-2] + [b''])"
check "a cut end is not" away receipt verify damaged.receipts
refuse "unless its head is known" away receipt verify --head "$head" \
    damaged.receipts

check "rotation" token receipt rotate
check "and on" ecdsa
both() { away receipt verify "$LOG.000001" "$LOG"; }
check "both files are one log" both
check "the new one alone continues another" says "continues an earlier one" \
    away receipt verify "$LOG"
refuse "not in the wrong order" away receipt verify "$LOG" "$LOG.000001"
check "the head is found in both" away receipt verify --head "$head" \
    "$LOG.000001" "$LOG"

printf '{"type":"round","ti' >>"$LOG"
check "after a crash in the middle of a line" ecdsa
check "the log is whole" both
check "and says so" says "19 bytes of torn lines were cut off" both

# Several processes at once.
together() {
	local pids=() p
	for p in 1 2 3; do
		(for _ in 1 2; do
			user --sign -m ECDSA --id 02 -i digest -o "sig.$p"
		done) &
		pids+=($!)
	done
	for p in "${pids[@]}"; do
		wait "$p" || return 1
	done
}
check "three processes sign at once" together
check "their lines are one chain" both

# A machine that is denied.
log_to all
ctl snp set debug on
refuse "a debuggable machine does not sign" ecdsa
ctl snp reset
until_true 20 ecdsa
check "its denial has a receipt" says "denied" show
check "which proves nothing else" both

# No room: a small file system. Without the right to mount, a quota of 0.
mkdir -p small
trap 'umount small 2>/dev/null; finish' EXIT
if mount -t tmpfs -o size=256k,mode=755 tmpfs small 2>/dev/null; then
	log_to all "$CVM_TMP/small/web.receipts"
	fill() { head -c 262144 /dev/zero >small/full 2>/dev/null; true; }
	check "a signature while there is room" ecdsa
	fill
	refuse "none when the disk is full" ecdsa
	check "the log says why" grep -q "no receipt: .*small/web.receipts" \
	    etc-snp/log
	rm small/full
	check "room again, and it signs" until_true 10 ecdsa
	check "the log is whole" away receipt verify small/web.receipts
	log_to all "$CVM_TMP/small/web.receipts" continue
	fill
	check "with \"continue\" it signs on a full disk" ecdsa
	check "and says so" grep -q "rounds go on without receipts" etc-snp/log
	rm small/full
	check "what is there is whole" away receipt verify small/web.receipts
	umount small
else
	echo "# no mount: the full disk is left to test-receipt-log"
fi
