// SPDX-License-Identifier: BSD-2-Clause
// Copyright (c) 2026 The cvm-pkcs11 authors
//
// What a Java application does with a token: java Clients.java CONFIG PIN
// prints TAP of its own, for java.sh.

import java.io.OutputStream;
import java.net.Socket;
import java.security.KeyStore;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.Provider;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.Security;
import java.security.Signature;
import java.security.cert.X509Certificate;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PSSParameterSpec;
import java.util.Arrays;
import java.util.concurrent.Callable;
import javax.crypto.Cipher;
import javax.crypto.KeyGenerator;
import javax.crypto.Mac;
import javax.crypto.SecretKey;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedKeyManager;

public class Clients {
	static final byte[] MESSAGE = "attested".getBytes();
	static int count, failed;
	static Provider token;
	static KeyStore keys;

	static void check(String name, Callable<Boolean> test) {
		boolean good = false;
		count++;
		try {
			good = test.call();
		} catch (Exception e) {
			for (Throwable t = e; t != null; t = t.getCause())
				System.out.println("# " + t);
		}
		if (!good)
			failed++;
		System.out.println((good ? "ok " : "not ok ") + count +
		    " - " + name);
	}

	static PrivateKey priv(String alias) throws Exception {
		return (PrivateKey)keys.getKey(alias, null);
	}

	static PublicKey pub(String alias) throws Exception {
		return keys.getCertificate(alias).getPublicKey();
	}

	// Signs in the token and verifies with Java's own code.
	static boolean sign(String algorithm, String alias,
	    PSSParameterSpec pss, byte[] verified) throws Exception {
		Signature s = Signature.getInstance(algorithm, token);
		Signature v = Signature.getInstance(algorithm,
		    alias.equals("ec") ? "SunEC" : "SunRsaSign");

		if (pss != null) {
			s.setParameter(pss);
			v.setParameter(pss);
		}
		s.initSign(priv(alias));
		s.update(MESSAGE);
		v.initVerify(pub(alias));
		v.update(verified);
		return v.verify(s.sign());
	}

	static boolean decrypt() throws Exception {
		String name = "RSA/ECB/PKCS1Padding";
		Cipher c = Cipher.getInstance(name, "SunJCE");

		c.init(Cipher.ENCRYPT_MODE, pub("rsa"));
		byte[] box = c.doFinal(MESSAGE);
		c = Cipher.getInstance(name, token);
		c.init(Cipher.DECRYPT_MODE, priv("rsa"));
		return Arrays.equals(c.doFinal(box), MESSAGE);
	}

	static boolean gcm() throws Exception {
		KeyGenerator g = KeyGenerator.getInstance("AES", token);
		g.init(256);
		SecretKey k = g.generateKey();
		String name = "AES/GCM/NoPadding";
		Cipher c = Cipher.getInstance(name, token);
		c.init(Cipher.ENCRYPT_MODE, k,
		    new GCMParameterSpec(128, new byte[12]));
		c.updateAAD(MESSAGE);
		byte[] box = c.doFinal(new byte[1000]);
		c = Cipher.getInstance(name, token);
		c.init(Cipher.DECRYPT_MODE, k,
		    new GCMParameterSpec(128, new byte[12]));
		c.updateAAD(MESSAGE);
		return Arrays.equals(c.doFinal(box), new byte[1000]);
	}

	static boolean mac() throws Exception {
		Mac m = Mac.getInstance("HmacSHA256", token);
		m.init(new SecretKeySpec(new byte[32], "HmacSHA256"));
		Mac own = Mac.getInstance("HmacSHA256", "SunJCE");
		own.init(new SecretKeySpec(new byte[32], "HmacSHA256"));
		return Arrays.equals(m.doFinal(MESSAGE), own.doFinal(MESSAGE));
	}

	static boolean random() throws Exception {
		SecureRandom r = SecureRandom.getInstance("PKCS11", token);
		byte[] a = new byte[32], b = new byte[32];
		r.nextBytes(a);
		r.nextBytes(b);
		return !Arrays.equals(a, b) && !Arrays.equals(a, new byte[32]);
	}

	// Offers one key, where a TLS server would choose among all.
	static class OneKey extends X509ExtendedKeyManager {
		final X509ExtendedKeyManager all;
		final String alias;

		OneKey(KeyManagerFactory f, String alias) {
			this.all = (X509ExtendedKeyManager)
			    f.getKeyManagers()[0];
			this.alias = alias;
		}
		boolean fits(String type) {
			return type.startsWith("EC") == alias.equals("ec");
		}
		public String chooseEngineServerAlias(String type,
		    Principal[] issuers, SSLEngine engine) {
			return fits(type) ? alias : null;
		}
		public String chooseServerAlias(String type,
		    Principal[] issuers, Socket socket) {
			return fits(type) ? alias : null;
		}
		public String[] getServerAliases(String type,
		    Principal[] issuers) {
			return fits(type) ? new String[] { alias } : null;
		}
		public String chooseClientAlias(String[] types,
		    Principal[] issuers, Socket socket) {
			return null;
		}
		public String[] getClientAliases(String type,
		    Principal[] issuers) {
			return null;
		}
		public X509Certificate[] getCertificateChain(String a) {
			return all.getCertificateChain(a);
		}
		public PrivateKey getPrivateKey(String a) {
			return all.getPrivateKey(a);
		}
	}

	// A TLS server whose key never leaves the token.
	static boolean tls(String protocol, String alias) throws Exception {
		KeyStore only = KeyStore.getInstance("PKCS12");
		only.load(null, null);
		only.setCertificateEntry(alias, keys.getCertificate(alias));
		TrustManagerFactory trust =
		    TrustManagerFactory.getInstance("PKIX");
		trust.init(only);
		KeyManagerFactory own =
		    KeyManagerFactory.getInstance("SunX509");
		own.init(keys, null);
		SSLContext s = SSLContext.getInstance("TLS");
		s.init(new KeyManager[] { new OneKey(own, alias) }, null, null);
		SSLContext c = SSLContext.getInstance("TLS");
		c.init(null, trust.getTrustManagers(), null);
		SSLServerSocket listener = (SSLServerSocket)
		    s.getServerSocketFactory().createServerSocket(0);
		listener.setEnabledProtocols(new String[] { protocol });
		listener.setSoTimeout(20000);
		Thread server = new Thread(() -> {
			try (SSLSocket a = (SSLSocket)listener.accept()) {
				OutputStream out = a.getOutputStream();
				out.write(MESSAGE);
				out.flush();
			} catch (Exception e) {
				System.out.println("# server: " + e);
			}
		});
		server.start();
		try (SSLSocket a = (SSLSocket)c.getSocketFactory()
		    .createSocket("127.0.0.1", listener.getLocalPort())) {
			a.setSoTimeout(20000);
			String type = alias.equals("ec") ? "ECDSA" : "RSA";
			if (protocol.equals("TLSv1.2"))
				a.setEnabledCipherSuites(new String[] {
				    "TLS_ECDHE_" + type +
				    "_WITH_AES_128_GCM_SHA256" });
			byte[] got = a.getInputStream()
			    .readNBytes(MESSAGE.length);
			X509Certificate peer = (X509Certificate)
			    a.getSession().getPeerCertificates()[0];
			return Arrays.equals(got, MESSAGE) &&
			    peer.equals(keys.getCertificate(alias));
		} finally {
			server.join();
			listener.close();
		}
	}

	public static void main(String[] args) throws Exception {
		byte[] other = "attacked".getBytes();
		PSSParameterSpec pss = new PSSParameterSpec("SHA-256", "MGF1",
		    MGF1ParameterSpec.SHA256, 32, 1);

		token = Security.getProvider("SunPKCS11").configure(args[0]);
		keys = KeyStore.getInstance("PKCS11", token);
		keys.load(null, args[1].toCharArray());
		Security.addProvider(token);
		check("both keys are in the store", () ->
		    keys.isKeyEntry("rsa") && keys.isKeyEntry("ec"));
		check("the private key is not extractable", () ->
		    priv("rsa").getEncoded() == null);
		check("SHA256withRSA", () ->
		    sign("SHA256withRSA", "rsa", null, MESSAGE));
		check("does not verify another message", () ->
		    !sign("SHA256withRSA", "rsa", null, other));
		check("SHA512withRSA", () ->
		    sign("SHA512withRSA", "rsa", null, MESSAGE));
		check("RSASSA-PSS", () ->
		    sign("RSASSA-PSS", "rsa", pss, MESSAGE));
		check("SHA256withECDSA", () ->
		    sign("SHA256withECDSA", "ec", null, MESSAGE));
		check("does not verify another message", () ->
		    !sign("SHA256withECDSA", "ec", null, other));
		check("RSA decryption", Clients::decrypt);
		check("AES-GCM with a session key", Clients::gcm);
		check("HMAC with a session key", Clients::mac);
		check("random numbers", Clients::random);
		for (String alias : new String[] { "rsa", "ec" })
			for (String p : new String[] { "TLSv1.2", "TLSv1.3" })
				check(p + " server with " + alias,
				    () -> tls(p, alias));
		System.out.println("1.." + count);
		System.exit(failed > 0 ? 1 : 0);
	}
}
