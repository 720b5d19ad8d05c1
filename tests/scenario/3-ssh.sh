#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The cvm-pkcs11 authors
#
# ssh-agent holds the token's keys, logs in to an sshd, and signs files.

. "$(dirname "$(readlink -f "$0")")/lib.sh"

machine snp
configure snp '"login": "pin"'
enroll snp
make_token
make_keys

printf '#!/bin/sh\necho %s\n' "$PIN" >askpass
chmod 700 askpass
export SSH_ASKPASS=$PWD/askpass SSH_ASKPASS_REQUIRE=force
export SSH_AUTH_SOCK=$PWD/agent.sock
# The agent looks at the real path of a module.
ssh-agent -D -a "$SSH_AUTH_SOCK" -P "$(readlink -f "$MODULE")" \
    >agent.log 2>&1 </dev/null &
daemons+=($!)
until_true 10 test -S "$SSH_AUTH_SOCK"

add() { timeout 30 ssh-add -s "$(readlink -f "$MODULE")" </dev/null; }
check "ssh-add -s takes the module" add
check "the agent lists the RSA key" says "(RSA)" ssh-add -l
check "and the ECDSA key" says "(ECDSA)" ssh-add -l
ssh-add -L >both.pub 2>/dev/null
grep ssh-rsa both.pub >rsa-ssh.pub
grep ecdsa both.pub >ec-ssh.pub

# An sshd on loopback that knows these two keys and nothing else.
mkdir -p /run/sshd
ssh-keygen -q -t ed25519 -N '' -f host_key </dev/null
cat both.pub >authorized_keys
cat >sshd_config <<END
ListenAddress 127.0.0.1
HostKey $PWD/host_key
AuthorizedKeysFile $PWD/authorized_keys
UsePAM no
StrictModes no
PasswordAuthentication no
PidFile none
END
start_sshd() {
	: >sshd.log
	"$(command -v sshd || echo /usr/sbin/sshd)" -D -f sshd_config \
	    -E sshd.log -p "$port" </dev/null &
	daemons+=($!)
	until_true 20 grep -qE 'Server listening|Cannot bind' sshd.log ||
	    return 1
	grep -q 'Server listening' sshd.log || return "$PORT_TAKEN"
}
port=
check "sshd starts" serve_on port start_sshd
echo "[127.0.0.1]:$port $(cut -d' ' -f1,2 host_key.pub)" >known_hosts
login() {
	timeout 30 ssh -F none -p "$port" -o IdentitiesOnly=yes -i "$1" \
	    -o UserKnownHostsFile="$PWD/known_hosts" -o BatchMode=yes \
	    "$(id -un)@127.0.0.1" true </dev/null
}
check "login with the RSA key" login rsa-ssh.pub
check "login with the ECDSA key" login ec-ssh.pub
without_agent() { SSH_AUTH_SOCK=/nonexistent "$@"; }
refuse "no login without the agent" without_agent login rsa-ssh.pub

echo "a file" >msg
sign() { rm -f msg.sig; ssh-keygen -Y sign -f "$1" -n file msg </dev/null; }
verify() {
	echo "me $(cut -d' ' -f1,2 "$1")" >allowed
	ssh-keygen -Y verify -f allowed -I me -n file -s msg.sig <"${2:-msg}"
}
for k in rsa ec; do
	check "ssh-keygen -Y sign with $k" sign $k-ssh.pub
	check "and verify" verify $k-ssh.pub
done
echo "another file" >other
refuse "another file does not verify" verify ec-ssh.pub other
check "ssh-keygen -D lists both keys" says ecdsa-sha2-nistp256 \
    timeout 30 ssh-keygen -D "$(readlink -f "$MODULE")"


# Who may open neither TPM nor store asks the process that may: an agent of a
# user's own, with what p11-kit has for clients.
(exec p11-kit server -f -n "$PWD/p11.sock" --provider \
    "$(readlink -f "$MODULE")" "pkcs11:" >server.log 2>&1 </dev/null) &
daemons+=($!)
until_true 10 test -S p11.sock
chmod 666 p11.sock
remote=$(pkg-config --variable=p11_module_path p11-kit-1)/p11-kit-client.so
mkdir -m 777 home
cp askpass msg ec-ssh.pub home
chmod 755 home/askpass
chmod 644 home/msg home/ec-ssh.pub
cat >home/run <<END
export P11_KIT_SERVER_ADDRESS=unix:path=$PWD/p11.sock HOME=$PWD/home
export SSH_ASKPASS=$PWD/home/askpass
cd "$PWD/home" && eval "\$(ssh-agent -s)" >/dev/null || exit 1
trap 'ssh-agent -k >/dev/null' EXIT
timeout 30 ssh-add -s "$remote" && ssh-add -L && rm -f msg.sig &&
    ssh-keygen -Y sign -f ec-ssh.pub -n file msg
END
chmod 711 .
as_nobody() {
	unset SSH_AUTH_SOCK
	setpriv --reuid=65534 --regid=65534 --clear-groups \
	    bash home/run </dev/null
}
check "a user's agent signs through the socket" as_nobody
mv home/msg.sig msg.sig
check "and its signature verifies" verify ec-ssh.pub
