"""The proxies that are compared, and the targets behind them: how each is configured, started, measured and ended.

All of them do the same work: HTTP/1.1 over connections to targets that are kept, X-Forwarded-For, -Proto and -Port
added, no access log. A row's Setup says the rest: one worker and round robin over two targets unless it says otherwise.
Everything listens on loopback, on ports that were free.
"""

import ctypes
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time

PROXY_CORE = 0
LOAD_CORE = 1
# It wants 2.5 descriptors a connection (splice); the others are told a bound that they do not come near either.
HAPROXY_CONNECTIONS = 7000
START_SECONDS = 15
STOP_SECONDS = 5
PR_SET_PDEATHSIG = 1


MAX_TARGETS = 16


@dataclasses.dataclass(frozen=True)
class Setup:
    kind: str  # what the listener speaks: http or https (with HTTP/2 by ALPN)
    workers: int = 1
    targets: int = 2  # at most MAX_TARGETS
    is_least: bool = False  # the target with the least outstanding requests (connections) in place of round robin

    def cores(self):
        """One a worker. The core of load and targets is the last to be taken, where there is no other."""
        others = sorted(os.sched_getaffinity(0) - {PROXY_CORE, LOAD_CORE})
        return {PROXY_CORE, *[*others, LOAD_CORE][:self.workers - 1]}


class Unsupported(Exception):
    """The proxy does not serve what a row needs; the text says what it said."""


def free_ports(count):
    """Ports that are free now. All are held until the last is found, so no two are equal."""
    held = [socket.create_server(('127.0.0.1', 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Process:
    """A program in a session of its own on these cores. It ends with `stop`, or with this process."""

    def __init__(self, name, arguments, cores, log_path):
        self.name = name
        self.log_path = log_path

        def prepare():
            os.sched_setaffinity(0, cores)
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        with open(log_path, 'wb') as log:
            self.child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          start_new_session=True, preexec_fn=prepare)

    def log(self):
        return pathlib.Path(self.log_path).read_text(errors='replace')

    def pids(self):
        """It and its children: all of its process group."""
        pids = []
        for entry in os.listdir('/proc'):
            if not entry.isdigit():
                continue
            try:
                fields = pathlib.Path(f'/proc/{entry}/stat').read_text().rpartition(')')[2].split()
            except OSError:
                continue
            if int(fields[2]) == self.child.pid:
                pids.append(int(entry))
        return pids

    def cpu_us(self):
        """CPU time so far of all threads, user and system, in microseconds, to the scheduler's precision."""
        total = 0
        for pid in self.pids():
            for thread in pathlib.Path(f'/proc/{pid}/task').iterdir():
                total += int((thread / 'schedstat').read_text().split()[0])
        return total / 1000

    def resident_bytes(self):
        total = 0
        for pid in self.pids():
            rollup = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
            total += int(re.search(r'^Rss:\s+(\d+) kB', rollup, re.M)[1]) * 1024
        return total

    def stop(self):
        for sent in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.child.pid, sent)
            except ProcessLookupError:
                pass
            try:
                self.child.wait(STOP_SECONDS)
                if sent == signal.SIGTERM and not self.pids():
                    return
            except subprocess.TimeoutExpired:
                pass


def answers(port, tls):
    """Whether GET / is answered with 200 through `port`."""
    try:
        with socket.create_connection(('127.0.0.1', port), timeout=2) as plain:
            client = plain
            if tls:
                context = ssl.create_default_context()
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
                client = context.wrap_socket(plain, server_hostname='bench.test')
            client.sendall(b'GET / HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n')
            return client.recv(4096).startswith(b'HTTP/1.1 200')
    except OSError:
        return False


class Peer:
    """One of the proxies."""

    name = ''

    def __init__(self, folder, bin_folder, target_ports, setup):
        self.setup = setup
        self.kind = setup.kind
        self.folder = pathlib.Path(folder) / f'{self.name}-{setup.kind}'
        self.folder.mkdir(parents=True, exist_ok=True)
        self.certificates = pathlib.Path(folder)
        self.bin_folder = bin_folder
        self.target_ports = target_ports[:setup.targets]
        self.port, = free_ports(1)
        self.process = None

    def version(self):
        return ''

    def config(self):
        return ''

    def arguments(self, config_path):
        raise NotImplementedError

    def start(self):
        config_path = self.folder / 'config'
        config_path.write_text(self.config())
        self.process = Process(self.name, self.arguments(config_path), self.setup.cores(), self.folder / 'log')
        deadline = time.monotonic() + START_SECONDS
        while not answers(self.port, self.kind == 'https'):
            if self.process.child.poll() is not None or time.monotonic() > deadline:
                log = self.process.log().strip().rpartition('\n')[2]
                self.stop()
                raise Unsupported(f'{self.name} does not serve {self.kind}: {log[-300:] or "no answer"}')
            time.sleep(0.05)

    def stop(self):
        if self.process is not None:
            self.process.stop()
            self.process = None


class Floor(Peer):
    name = 'floor'

    def arguments(self, config_path):
        if self.kind != 'http':
            raise Unsupported('the floor forwards bytes only')
        if self.setup.workers > 1 or self.setup.is_least:
            raise Unsupported('the floor has one worker and goes round')
        return [f'{self.bin_folder}/bench_floor', str(self.port), *map(str, self.target_ports)]


class Remuda(Peer):
    name = 'remuda'

    def version(self):
        run = subprocess.run([f'{self.bin_folder}/remuda-proxy', '--version'], capture_output=True, text=True,
                             check=True, timeout=10)
        return run.stdout.strip()

    def config(self):
        listener, certificates = 'protocol: HTTP', ''
        if self.kind == 'https':
            listener = 'protocol: HTTPS\n        certificates: [bench]'
            certificates = f'''
certificates:
  - name: bench
    certificateFile: {self.certificates}/certificate.pem
    privateKeyFile: {self.certificates}/key.pem'''
        algorithm = '\n    algorithm: BALANCING_ALGORITHM_LEAST_OUTSTANDING_REQUESTS' if self.setup.is_least else ''
        targets = '\n'.join(f'  - {{ targetGroup: bench, address: 127.0.0.1, port: {port} }}'
                            for port in self.target_ports)
        return f'''
loadBalancers:
  - name: bench
    listeners:
      - port: {self.port}
        address: 127.0.0.1
        {listener}
        defaultAction: {{ forward: {{ targetGroups: [{{ targetGroup: bench }}] }} }}
targetGroups:
  - name: bench{algorithm}
    healthCheck: {{ path: /, interval: 300s, timeout: 5s }}
targets:
{targets}{certificates}
'''

    def arguments(self, config_path):
        return [f'{self.bin_folder}/remuda-proxy', f'--config={config_path}', '--admin=127.0.0.1:0',
                f'--workers={self.setup.workers}', '--max-connections=19000', '--pool-idle-timeout=60m']


class Haproxy(Peer):
    name = 'haproxy'

    def version(self):
        run = subprocess.run(['haproxy', '-v'], capture_output=True, text=True, check=True, timeout=10)
        return run.stdout.splitlines()[0].removesuffix(' - https://haproxy.org/')

    def config(self):
        tls = f' ssl crt {self.certificates}/both.pem alpn h2,http/1.1' if self.kind == 'https' else ''
        servers = '\n'.join(f'  server s{port} 127.0.0.1:{port}' for port in self.target_ports)
        return f'''
global
  nbthread {self.setup.workers}
  maxconn {HAPROXY_CONNECTIONS}
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 3600s
  option splice-request
  option splice-response
  http-reuse always
frontend f
  bind 127.0.0.1:{self.port}{tls}
  option forwardfor
  http-request set-header X-Forwarded-Proto {'https' if tls else 'http'}
  http-request set-header X-Forwarded-Port %[dst_port]
  default_backend b
backend b
  balance {'leastconn' if self.setup.is_least else 'roundrobin'}
{servers}
'''

    def arguments(self, config_path):
        return ['haproxy', '-db', '-f', str(config_path)]


class Nginx(Peer):
    name = 'nginx'

    def version(self):
        run = subprocess.run(['nginx', '-v'], capture_output=True, text=True, check=True, timeout=10)
        return run.stderr.strip()

    def config(self):
        tls = ''
        if self.kind == 'https':
            tls = f'''
    ssl_certificate {self.certificates}/certificate.pem;
    ssl_certificate_key {self.certificates}/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;'''
        # A socket a worker, as ours has; and a worker knows what the others have under way, as ours does.
        reuse, zone = (' reuseport', '\n    zone targets 1m;') if self.setup.workers > 1 else ('', '')
        listen = f'127.0.0.1:{self.port}{" ssl http2" if tls else ""}{reuse}'
        least = '\n    least_conn;' if self.setup.is_least else ''
        servers = '\n'.join(f'    server 127.0.0.1:{port};' for port in self.target_ports)
        return f'''
daemon off;
worker_processes {self.setup.workers};
worker_rlimit_nofile 19900;
pid {self.folder}/pid;
error_log {self.folder}/error.log warn;
events {{ worker_connections 19000; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  http2_max_concurrent_streams 128;
  client_body_temp_path {self.folder}/body;
  proxy_temp_path {self.folder}/proxy;
  fastcgi_temp_path {self.folder}/fastcgi;
  uwsgi_temp_path {self.folder}/uwsgi;
  scgi_temp_path {self.folder}/scgi;
  upstream targets {{{zone}{least}
{servers}
    keepalive 1024;
    keepalive_requests 1000000000;
  }}
  server {{
    listen {listen} backlog=4096;{tls}
    location / {{
      proxy_pass http://targets;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Port $server_port;
      proxy_max_temp_file_size 0;
      proxy_request_buffering off;
      client_max_body_size 0;
    }}
  }}
}}
'''

    def arguments(self, config_path):
        return [shutil.which('nginx') or '/usr/sbin/nginx', '-c', str(config_path), '-e', f'{self.folder}/error.log']


PEERS = (Remuda, Haproxy, Nginx, Floor)


class Targets:
    """MAX_TARGETS targets in one process on the load core."""

    def __init__(self, folder, bin_folder):
        self.ports = free_ports(MAX_TARGETS)
        self.process = Process('targets', [f'{bin_folder}/bench_target', *map(str, self.ports)], {LOAD_CORE},
                               pathlib.Path(folder) / 'targets.log')
        deadline = time.monotonic() + START_SECONDS
        while not all(answers(port, False) for port in self.ports):
            if self.process.child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f'the targets do not answer: {self.process.log()}')
            time.sleep(0.05)

    def stop(self):
        self.process.stop()


def make_certificate(folder):
    """RSA-2048, self-signed: certificate.pem, key.pem, and both.pem for haproxy."""
    folder = pathlib.Path(folder)
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=bench.test',
                    '-addext', 'subjectAltName=DNS:bench.test', '-keyout', folder / 'key.pem',
                    '-out', folder / 'certificate.pem'], check=True, capture_output=True, timeout=60)
    both = (folder / 'certificate.pem').read_text() + (folder / 'key.pem').read_text()
    (folder / 'both.pem').write_text(both)
