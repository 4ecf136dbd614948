"""Bulk transfers with real programs: curl, iperf3, HTTP/2 and TLS."""

import hashlib
import json
import os
import shutil
import subprocess

import pytest

from files import big_file, serve_files
from harness import any_engine, bracket, check, check_equal, each_family
from labkit import iperf


@any_engine
@each_family
def test_curl_download_has_equal_sha256(t):
    _, _, digest = big_file(t)
    server = serve_files(t)
    try:
        done = t.guest_ok(["sh", "-c", f"curl -sS -g http://{bracket(t.srv)}:8000/big | sha256sum"],
                          timeout=300)
    finally:
        server.shutdown()
        server.server_close()
    check_equal(done.stdout.split()[0], digest, "SHA-256 of the download")


@any_engine
@each_family
def test_curl_upload_has_equal_sha256(t):
    path, _, digest = big_file(t)
    server = serve_files(t)
    try:
        done = t.guest_ok(["curl", "-sS", "-g", "-T", path, "-H", "Expect:",
                           f"http://{bracket(t.srv)}:8000/big"], timeout=300)
    finally:
        server.shutdown()
        server.server_close()
    check_equal(done.stdout.strip(), digest, "SHA-256 of the upload")


class InGuest:
    """What labkit.iperf calls a place: runs each command as a guest of its own."""

    def __init__(self, t):
        self._t = t

    def server(self, _family):
        return self._t.srv

    def run(self, command, timeout):
        return self._t.guest(command, timeout=timeout)


def iperf3_tcp(t, direction, streams):
    sample = iperf.measure(t.net, InGuest(t), t.family, direction, streams, 1 if t.fast else 3)
    check_equal(sample["congestion"], "cubic", "congestion control")
    # Far below any engine's speed: this is about working, the lab is about speed.
    check(sample["gbit"] > 0.02, f"{sample['gbit']:.3f} Gbit/s")


@any_engine
@each_family
def test_iperf3_tcp_out(t):
    iperf3_tcp(t, "out", 1)


@any_engine
@each_family
def test_iperf3_tcp_out_8_streams(t):
    iperf3_tcp(t, "out", 8)


@any_engine
@each_family
def test_iperf3_tcp_in(t):
    iperf3_tcp(t, "in", 1)


@any_engine
@each_family
def test_iperf3_tcp_in_8_streams(t):
    iperf3_tcp(t, "in", 8)


@any_engine
@each_family
def test_iperf3_tcp_bidir(t):
    iperf3_tcp(t, "bidir", 1)


def iperf3_udp(t, reverse):
    server = t.net.popen(t.net.srv, ["iperf3", "-s", "-1"], stdout=subprocess.DEVNULL)
    t.net.listening(server, 5201)
    done = t.guest(["iperf3", "-c", t.srv, "-u", "-b", "30M", "-l", "1400", "-t",
                    "1" if t.fast else "3", "-J", *(["-R"] if reverse else [])], timeout=40)
    result = json.loads(done.stdout)
    check("error" not in result, str(result.get("error")))
    total = result["end"]["sum"]
    # 30 Mbit/s of 1400-byte datagrams: a receiver's buffer holds 35 ms of them. The machine may be
    # busy for longer, so a few may be lost.
    check(total["packets"] > 2000, f"only {total['packets']} datagrams were sent")
    check(total["lost_percent"] < 5, f"{total['lost_percent']:.1f}% lost")


@any_engine
@each_family
def test_iperf3_udp_out(t):
    iperf3_udp(t, False)


@any_engine
@each_family
def test_iperf3_udp_in(t):
    iperf3_udp(t, True)


def certificate(t):
    key, cert = t.file("key.pem"), t.file("cert.pem")
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=srv.test", "-keyout", key, "-out", cert],
        capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("openssl makes no certificate here")
    return key, cert


@any_engine
@each_family
def test_http2_over_tls_from_nginx(t):
    if not shutil.which("nginx"):
        pytest.skip("nginx is not installed")
    key, cert = certificate(t)
    body = os.urandom(5_000_000)
    with open(t.file("page"), "wb") as file:
        file.write(body)
    config = t.file("nginx.conf", f"""
daemon off; pid {t.file('nginx.pid')}; error_log stderr; master_process off; user root;
events {{}}
http {{ access_log off; client_body_temp_path {t.folder}; proxy_temp_path {t.folder};
  fastcgi_temp_path {t.folder}; uwsgi_temp_path {t.folder}; scgi_temp_path {t.folder};
  server {{ listen 443 ssl http2; listen [::]:443 ssl http2; root {t.folder};
    ssl_certificate {cert}; ssl_certificate_key {key}; }} }}""")
    server = t.net.popen(t.net.srv, ["nginx", "-c", config], stderr=subprocess.DEVNULL)
    t.net.listening(server, 443)
    done = t.guest_ok(
        ["sh", "-c", "curl -sS -g -k --http2 -o $0 -w '%{http_version} %{http_code}' $1; "
         "echo; sha256sum < $0", t.file("got"), f"https://{bracket(t.srv)}/page"])
    lines = done.stdout.split("\n")
    check_equal(lines[0], "2 200", "HTTP version and status")
    check_equal(lines[1].split()[0], hashlib.sha256(body).hexdigest(), "the page")


@any_engine
@each_family
def test_tls_with_openssl(t):
    key, cert = certificate(t)
    server = t.net.popen(t.net.srv, ["openssl", "s_server", "-accept", "4433", "-key", key, "-cert",
                                     cert, "-rev", "-quiet"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         stdin=subprocess.PIPE)
    t.net.listening(server, 4433)
    code = """
import subprocess
s = subprocess.Popen(["openssl", "s_client", "-quiet", "-connect", args[0]],
                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
s.stdin.write(b"sluice\\n"); s.stdin.flush()
print(s.stdout.readline().decode().strip())
s.kill()
"""
    reply = t.python(code, f"{bracket(t.srv)}:4433").strip()
    check_equal(reply, "eciuls", "what the server reversed")
