# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# nginx with keys in the token.
# shellcheck shell=bash

URI="pkcs11:token=web;object=%s;type=private;pin-value=$PIN"
NGINX_USER=root NGINX_WORKERS=2
# "reuseport" spreads connections over the workers, but loses some on reload.
NGINX_LISTEN=

# certificates: self-signed ones over the token's public keys. A throw-away
# CA signs, since the token's key signs nothing but handshakes here.
certificates() {
	openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem \
	    -subj "/CN=test CA" -days 2 2>/dev/null
	local k
	for k in rsa ec; do
		openssl req -new -newkey rsa:2048 -nodes -keyout /dev/null \
		    -subj /CN=localhost 2>/dev/null |
		    openssl x509 -req -CA ca.pem -CAkey ca.key -days 2 \
			-set_serial "$RANDOM" -force_pubkey "$k.pub" \
			-out "$k.pem" 2>/dev/null
	done
}

# way_direct, way_proxy, way_server: how the engine reaches the module.
way_direct() {
	NGINX_USER=root
	engine_conf "$MODULE"
}

# p11-kit finds the module by a .module file, as installation puts it there.
way_proxy() {
	NGINX_USER=root
	mkdir -p /etc/pkcs11/modules
	leftovers+=("/etc/pkcs11/modules/cvm-scenario.module")
	cat >/etc/pkcs11/modules/cvm-scenario.module <<-END
	module: $(readlink -f "$MODULE")
	x-init-reserved: config=$CVM_PKCS11_CONF
	END
	engine_conf "$(pkg-config --variable=proxy_module p11-kit-1)"
}

# The workers are unprivileged and reach nothing but the server's socket.
way_server() {
	NGINX_USER="nobody nogroup"
	rm -f p11.sock
	(exec env -u P11_KIT_SERVER_ADDRESS \
	    p11-kit server -f -n "$PWD/p11.sock" \
	    --provider "$(readlink -f "$MODULE")" "pkcs11:token=web" \
	    >p11-server.log 2>&1 </dev/null) &
	daemons+=($!)
	SERVER_PID=$!
	until_true 10 test -S p11.sock
	chmod 666 p11.sock
	engine_conf "$(pkg-config --variable=p11_module_path \
	    p11-kit-1)/p11-kit-client.so"
}
way_end() {
	[ -n "${SERVER_PID:-}" ] && kill "$SERVER_PID" 2>/dev/null
	SERVER_PID=
	rm -f "${leftovers[@]}"
}

nginx_conf() {
	local key_rsa key_ec
	# shellcheck disable=SC2059
	key_rsa=$(printf "$URI" rsa) key_ec=$(printf "$URI" ec)
	mkdir -p nginx
	cat >nginx.conf <<-END
	user $NGINX_USER;
	worker_processes $NGINX_WORKERS;
	pid $PWD/nginx/pid;
	error_log $PWD/nginx/error.log notice;
	env OPENSSL_CONF; env P11_KIT_SERVER_ADDRESS;
	events { worker_connections 256; }
	http {
	    access_log off;
	    client_body_temp_path $PWD/nginx/b; proxy_temp_path $PWD/nginx/p;
	    fastcgi_temp_path $PWD/nginx/f; uwsgi_temp_path $PWD/nginx/u;
	    scgi_temp_path $PWD/nginx/s;
	    ssl_session_cache off; ssl_session_tickets off;
	    ssl_protocols TLSv1.2 TLSv1.3;
	    server {
	        listen 127.0.0.1:$PORT_RSA ssl $NGINX_LISTEN;
	        ssl_certificate $PWD/rsa.pem;
	        ssl_certificate_key "engine:pkcs11:$key_rsa";
	        location / { return 200 "ok"; }
	    }
	    server {
	        listen 127.0.0.1:$PORT_EC ssl $NGINX_LISTEN;
	        ssl_certificate $PWD/ec.pem;
	        ssl_certificate_key "engine:pkcs11:$key_ec";
	        location / { return 200 "ok"; }
	    }
	}
	END
}

nginx_env() {
	env OPENSSL_CONF="$PWD/openssl.cnf" \
	    P11_KIT_SERVER_ADDRESS="unix:path=$PWD/p11.sock" \
	    timeout 30 nginx -p "$PWD/nginx" -c "$PWD/nginx.conf" </dev/null
}
nginx_start() {
	serve_on PORT_RSA nginx_begin
}
nginx_begin() {
	PORT_EC=$(free_port)
	nginx_conf
	: >nginx/error.log
	if ! nginx_env; then
		grep -q 'bind() to .* failed' nginx/error.log || return 1
		return "$PORT_TAKEN"
	fi
	NGINX_PID=$(cat nginx/pid)
	daemons+=("$NGINX_PID")
	until_true 10 handshake ec 1.3
}
nginx_stop() {
	kill -QUIT "$NGINX_PID"
	until_true 20 not kill -0 "$NGINX_PID"
}

# handshake rsa|ec VERSION: one full handshake with a verified certificate.
handshake() {
	local port=$PORT_RSA
	[ "$1" = ec ] && port=$PORT_EC
	timeout 10 openssl s_client -connect "127.0.0.1:$port" \
	    "-tls${2/./_}" -CAfile ca.pem -verify_return_error -brief \
	    </dev/null
}

# everywhere: sixteen handshakes, so that each worker has its share.
everywhere() {
	local i
	for ((i = 0; i < 8; i++)); do
		handshake rsa 1.3 && handshake ec 1.2 || return 1
	done
}
nowhere() {
	local i
	for ((i = 0; i < 8; i++)); do
		! handshake rsa 1.3 && ! handshake ec 1.2 || return 1
	done
}

# load FILE: handshakes until FILE.stop exists; one line for each that failed.
load() {
	: >"$1"
	while [ ! -e "$1.stop" ]; do
		handshake rsa 1.3 >/dev/null 2>&1 || echo rsa >>"$1"
		handshake ec 1.2 >/dev/null 2>&1 || echo ec >>"$1"
		echo . >>"$1.count"
	done
}

# reloads N: so many, each followed by the end of a round of load.
reloads() {
	local i pid
	rm -f load.stop
	: >load.count
	load load &
	pid=$!
	for ((i = 0; i < $1; i++)); do
		reload_once || break
	done
	touch load.stop
	wait "$pid"
	echo "$i reloads, $(wc -l <load.count) rounds of 2 handshakes," \
	    "failed: $(wc -l <load)"
	[ "$i" -eq "$1" ] && [ ! -s load ]
}
reload_once() {
	local before rounds deadline=$((SECONDS + 30))
	before=$(generations)
	kill -HUP "$NGINX_PID" || return 1
	until [ "$(generations)" -gt "$before" ]; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.02
	done
	rounds=$(rounds)
	until [ "$(rounds)" -gt "$rounds" ]; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.02
	done
}
generations() { grep -c ': start worker processes$' nginx/error.log; }
rounds() { wc -l <load.count; }

# uneventful GENERATIONS: so many were started, and nginx wrote only notices.
uneventful() {
	[ "$(generations)" -eq "$1" ] &&
	    ! grep -vE '^[0-9/]+ [0-9:]+ \[notice\] ' nginx/error.log
}
