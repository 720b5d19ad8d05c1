#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# A GnuTLS server with keys in the token.

. "$(dirname "$(readlink -f "$0")")/lib.sh"

machine tdx --platform tdx
configure tdx
enroll tdx
make_token
make_keys
export GNUTLS_PIN=$PIN
for k in rsa ec; do
	cat >"$k.template" <<-END
	cn = localhost
	dns_name = localhost
	tls_www_server
	signing_key
	serial = 1
	END
	check "certtool signs a certificate with the $k key" timeout 60 \
	    certtool --provider="$MODULE" --generate-self-signed \
	    --load-privkey "pkcs11:token=web;object=$k;type=private" \
	    --load-pubkey "$k.pub" --template "$k.template" --outfile "$k.pem"
	check "that OpenSSL verifies" openssl verify -CAfile "$k.pem" "$k.pem"
done

port=
serve() { # KEY
	(exec gnutls-serv --provider="$MODULE" --port="$port" --echo \
	    --disable-client-cert --x509certfile="$1.pem" \
	    --x509keyfile="pkcs11:token=web;object=$1;type=private" \
	    >"serve-$1.log" 2>&1 </dev/null) &
	daemons+=($!)
	until_true 20 grep -qE 'listening on IPv4.*(done|failed)' \
	    "serve-$1.log" || return 1
	grep -q 'listening on IPv4.*done' "serve-$1.log" || return "$PORT_TAKEN"
}
handshake() { # KEY PRIORITY
	echo attested | timeout 30 gnutls-cli --x509cafile="$1.pem" \
	    --priority="$2" --port="$port" --verify-hostname=localhost \
	    127.0.0.1
}
tls12=NORMAL:-VERS-ALL:+VERS-TLS1.2 tls13=NORMAL:-VERS-ALL:+VERS-TLS1.3
for k in rsa ec; do
	check "a server with the $k key" serve_on port serve $k
	check "TLS 1.2 with the $k key" handshake $k $tls12
	check "TLS 1.3 with the $k key" handshake $k $tls13
done
ctl tdx pcr extend 8 "another kernel command line" >/dev/null
check "the machine is another: a new server has no key" \
    lacks "listening on IPv4" timeout 5 gnutls-serv --provider="$MODULE" \
    --port="$(free_port)" --disable-client-cert --x509certfile=ec.pem \
    --x509keyfile="pkcs11:token=web;object=ec;type=private"
