# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# What every scenario stands on: a virtual CVM, a token on it, and TAP.
# shellcheck shell=bash

set -u
# What a group can write is refused, whatever the caller's mask would allow.
umask 022
: "${CVM_BUILD:?names the build directory}"
CVM_TMP=${CVM_TMP:-$(mktemp -d /tmp/cvm-scenario.XXXXXX)}
CVM_SOURCE=${CVM_SOURCE:-$(dirname "$(readlink -f "$0")")/../..}
VCVM=$CVM_BUILD/tests/vcvm/vcvm
TOKEN=$CVM_BUILD/tools/cvm-token
MODULE=$CVM_BUILD/module/cvm-pkcs11.so
PKI=${VCVM_PKI:-$CVM_BUILD/vcvm-pki}
ENGINE=$(openssl version -e | sed 's/.*"\(.*\)"/\1/')/pkcs11.so
# Daemons that drop privileges must be able to walk to the test's files.
chmod 755 "$CVM_TMP"
cd "$CVM_TMP" || exit 1
PIN=1234 SO_PIN=12345678
printf '%s' "$PIN" >pin
printf '%s' "$SO_PIN" >so-pin

count=0 failed=0 machines=() daemons=() leftovers=()

# check NAME COMMAND...: one test, passed when the command succeeds.
check() {
	local name=$1
	shift
	count=$((count + 1))
	if "$@" >"out.$count" 2>&1; then
		echo "ok $count - $name"
	else
		failed=$((failed + 1))
		echo "not ok $count - $name"
		echo "# command: $*"
		sed 's/^/# /' "out.$count" | tail -n 25
	fi
}

# refuse NAME COMMAND...: passed when the command fails, and by itself: a
# time-out or a signal is no refusal (255 is ssh's and ssh-keygen's failure).
refuse() {
	local name=$1
	shift
	check "$name" fails "$@"
}
fails() {
	"$@"
	refused $?
}
refused() {
	[ "$1" -eq 255 ] ||
	    { [ "$1" -ne 0 ] && [ "$1" -ne 124 ] && [ "$1" -lt 128 ]; }
}

# says TEXT COMMAND...: the command's output has the text, whether it fails or
# not; but it ends by itself. lacks: and does not have it.
answers() {
	local rc
	"$@" >says.out 2>&1
	rc=$?
	cat says.out
	echo "exit status $rc"
	[ "$rc" -eq 0 ] || refused "$rc"
}
says() { answers "${@:2}" && grep -qF -- "$1" says.out; }
lacks() { answers "${@:2}" && ! grep -qF -- "$1" says.out; }
not() { ! "$@"; }

# until_true SECONDS COMMAND...: waits for it.
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.2
	done
}

# free_port: one that nobody listens on now. Another script may take it before
# the server does: serve_on VARIABLE COMMAND... begins anew with another one,
# for as long as COMMAND (which starts it) fails by saying so.
free_port() {
	/usr/bin/python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
serve_on() {
	local try rc
	for try in 1 2 3 4 5; do
		printf -v "$1" %s "$(free_port)"
		"${@:2}"
		rc=$?
		[ "$rc" -eq "$PORT_TAKEN" ] || return "$rc"
		echo "port ${!1} was taken, try $try"
	done
	return 1
}
PORT_TAKEN=98

finish() {
	local pid d
	for pid in "${daemons[@]}"; do
		kill "$pid" 2>/dev/null
	done
	for d in "${machines[@]}"; do
		"$VCVM" stop "$d" >/dev/null 2>&1
	done
	rm -f "${leftovers[@]}"
	echo "1..$count"
	exit $((failed > 0))
}
trap finish EXIT

# machine NAME [OPTION...]: starts a virtual CVM in ./NAME.
machine() {
	local name=$1
	shift
	machines+=("$CVM_TMP/$name")
	timeout 120 "$VCVM" start "$CVM_TMP/$name" --pki "$PKI" "$@" \
	    </dev/null >vcvm.out 2>&1 || { sed 's/^/# /' vcvm.out; exit 1; }
}
ctl() { timeout 60 "$VCVM" ctl "$CVM_TMP/$1" "${@:2}"; }

# configure NAME [JSON members of the token]: configuration for machine NAME.
configure() {
	local name=$1 m=$CVM_TMP/$1/root
	mkdir -p "etc-$name"
	cat >"etc-$name/config.json" <<-END
	{
	  "version": 1,
	  "simulated": true,
	  "tpm": { "tcti": "device:$m/dev/tpmrm0", "ak": "gce-ecc" },
	  "evidence": {
	    "tsm": "$m/sys/kernel/config/tsm/report",
	    "event_log": "$m/sys/kernel/security/tpm0/binary_bios_measurements",
	    "ccel": "$m/sys/firmware/acpi/tables/data/CCEL",
	    "collateral": "$CVM_TMP/$name/collateral",
	    "timeout_ms": 3000, "retry_ms": 200
	  },
	  "log": { "target": "file", "level": "notice",
	    "path": "$CVM_TMP/etc-$name/log" },
	  "tokens": [ {
	    "name": "web", "label": "web",
	    "store": "$CVM_TMP/etc-$name/web.db",
	    "policy": "$CVM_TMP/etc-$name/policy.json",
	    "init_token": true ${2:+, $2}
	  } ]
	}
	END
	export CVM_PKCS11_CONF=$CVM_TMP/etc-$name/config.json
}

token() { timeout 60 "$TOKEN" "$@"; }

# edit FILE PYTHON: changes a JSON document p in place.
edit() {
	/usr/bin/python3 - "$1" "$2" <<-'END'
	import json, sys
	with open(sys.argv[1]) as f:
	    p = json.load(f)
	exec(sys.argv[2])
	with open(sys.argv[1], "w") as f:
	    json.dump(p, f, indent=2)
	END
}

# enroll NAME [PYTHON]: this machine as it is becomes the policy, edited. Its
# attestation keys are named, as bundles are to be verified elsewhere.
enroll() {
	rm -f "etc-$1/proposal.json"
	token enroll --own-roots --out "etc-$1/proposal.json" \
	    >enroll.out 2>&1 || { sed 's/^/# /' enroll.out; exit 1; }
	ctl "$1" facts >facts.json
	edit "etc-$1/proposal.json" "
ak = p.get('tpm', {}).get('ak', {})
if ak.get('trust') == 'tee':
    with open('facts.json') as f:
        ak['names'] = [a['name'] for a in json.load(f)['aks'].values()]
p['tee_report_max_age_s'] = 1; ${2:-}"
	cp "etc-$1/proposal.json" "etc-$1/policy.json"
}

# make_token: initialises it; the recovery code is kept in ./code.
make_token() {
	token --json init --so-pin-file so-pin --pin-file pin >init.out 2>&1 ||
	    { sed 's/^/# /' init.out; exit 1; }
	/usr/bin/python3 -c 'import json
print(json.load(open("init.out"))["recovery_code"])' >code
}

p11() { timeout 60 pkcs11-tool --module "${P11_MODULE:-$MODULE}" "$@"; }
user() { p11 --login --pin "$PIN" "$@"; }

# make_keys: an RSA and an EC key pair, and a certificate for each.
make_keys() {
	{
		user --keypairgen --key-type RSA:2048 --label rsa --id 01 &&
		    user --keypairgen --key-type EC:prime256v1 --label ec \
			--id 02 &&
		    public_key 01 rsa && public_key 02 ec
	} >keys.out 2>&1 || { sed 's/^/# /' keys.out; exit 1; }
}
public_key() {
	p11 --read-object --type pubkey --id "$1" -o "$2.pub.der" &&
	    openssl pkey -pubin -inform DER -in "$2.pub.der" -out "$2.pub"
}

# engine_conf MODULE: OpenSSL's pkcs11 engine over a module, in ./openssl.cnf.
engine_conf() {
	cat >openssl.cnf <<-END
	openssl_conf = init
	[init]
	engines = engines
	[engines]
	pkcs11 = pkcs11
	[pkcs11]
	engine_id = pkcs11
	dynamic_path = $ENGINE
	MODULE_PATH = $1
	init = 1
	END
}

log_of() { cat "etc-$1/log"; }
