"""What is measured: each row drives one proxy for a while and returns figures, of which smaller ones are better."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import time

from peers import LOAD_CORE, Setup

SLACK_SECONDS = 30  # over the time that a generator was asked to run
CONNECTIONS = 64
IDLE_CONNECTIONS = 5000
HANDSHAKE_CLIENTS = 4
STEADY_RATE = 2000
STEADY_CONNECTIONS = 64


class Failed(Exception):
    """A run that cannot be counted: an error, or an answer that was not 2xx."""


def spawn_load(arguments):
    """A load generator on its core."""
    return subprocess.Popen([str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, start_new_session=True,
                            preexec_fn=lambda: os.sched_setaffinity(0, {LOAD_CORE}))


def finish_load(child, seconds):
    """Its output. Ended with a deadline."""
    try:
        output, _ = child.communicate(timeout=seconds + SLACK_SECONDS)
    except BaseException:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        raise
    if child.returncode != 0:
        raise Failed(f'{child.args[0]} ended with {child.returncode}: {output[-300:]}')
    return output


def run_load(arguments, seconds):
    return finish_load(spawn_load(arguments), seconds)


def wrk(peer, seconds, path='/', connections=CONNECTIONS, headers=(), script=None):
    """Requests answered. Fails if any was not."""
    extra = ['-s', pathlib.Path(__file__).with_name(script)] if script else []
    extra += [part for header in headers for part in ('-H', header)]
    scheme = 'https' if peer.kind == 'https' else 'http'
    output = run_load(['wrk', '-t1', f'-c{connections}', f'-d{seconds}s', '--timeout', '10s', *extra,
                       f'{scheme}://127.0.0.1:{peer.port}{path}'], seconds)
    if 'Non-2xx' in output or 'Socket errors' in output:
        raise Failed(f'wrk: {output}')
    return int(re.search(r'(\d+) requests in', output)[1])


def h2load(peer, seconds, *arguments):
    scheme = 'https' if peer.kind == 'https' else 'http'
    output = run_load(['h2load', *arguments, f'{scheme}://127.0.0.1:{peer.port}/'], seconds)
    counts = re.search(r'requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, (\d+) errored',
                       output)
    if counts is None or int(counts[1]) == 0 or counts[2] != '0' or counts[3] != '0':
        raise Failed(f'h2load: {output}')
    return int(counts[1]), output


class Row:
    """`setup`: of the proxies; or the kind of its listener, the rest being usual."""

    def __init__(self, name, setup, what, measure, peers=('remuda', 'haproxy', 'nginx', 'floor'), figures=None):
        self.name = name
        self.setup = Setup(setup) if isinstance(setup, str) else setup
        self.what = what
        self.measure = measure  # (peer, seconds) -> {figure: value}
        self.peers = peers
        self.figures = figures or {name: 'us CPU'}


def cpu_a_request(name, **options):
    def measure(peer, seconds):
        before = peer.process.cpu_us()
        done = wrk(peer, seconds, **options)
        return {name: (peer.process.cpu_us() - before) / done}
    return measure


def connections_accepted():
    """By any process of this machine since it runs."""
    with open('/proc/net/snmp', encoding='ascii') as file:
        names, values = [line.split() for line in file if line.startswith('Tcp:')]
    return int(values[names.index('PassiveOpens')])


def http1_small(peer, seconds):
    """Also how often a connection to a target is made: 1 of 1,000 requests is a reuse of 99.9 %."""
    cpu_before, accepted_before = peer.process.cpu_us(), connections_accepted()
    done = wrk(peer, seconds)
    made = connections_accepted() - accepted_before - CONNECTIONS
    return {'http1_small': (peer.process.cpu_us() - cpu_before) / done, 'target_connections': 1000 * made / done}


def http2(peer, seconds):
    before = peer.process.cpu_us()
    done, output = h2load(peer, seconds, f'-D{seconds}', '--warm-up-time=0', '-c16', '-m16', '-t1')
    if 'Application protocol: h2' not in output:
        raise Failed(f'{peer.name} did not agree to HTTP/2: {output[:300]}')
    return {'h2': (peer.process.cpu_us() - before) / done}


def handshakes(peer, seconds):
    before = peer.process.cpu_us()
    children = [spawn_load(['openssl', 's_time', '-connect', f'127.0.0.1:{peer.port}', '-new', '-www', '/',
                            '-time', seconds]) for _ in range(HANDSHAKE_CLIENTS)]
    outputs = [finish_load(child, seconds) for child in children]
    done = sum(int(re.search(r'(\d+) connections in \d+ real seconds', output)[1]) for output in outputs)
    return {'tls_handshakes': (peer.process.cpu_us() - before) / done}


def settled_bytes(peer):
    """The resident set once it is the same in five looks."""
    looks = []
    deadline = time.monotonic() + SLACK_SECONDS
    while len(looks) < 5 or len(set(looks[-5:])) > 1:
        if time.monotonic() > deadline:
            raise Failed(f'the resident set does not settle: {looks[-5:]}')
        time.sleep(0.05)
        looks.append(peer.process.resident_bytes())
    return looks[-1]


def idle_memory(peer, _seconds):
    """Growth of the resident set by connections that have had one request each and are idle since. In a new process: an
    old one has room from the round before."""
    peer.stop()
    peer.start()
    wrk(peer, 1)
    before = settled_bytes(peer)
    clients = []
    try:
        for _ in range(IDLE_CONNECTIONS):
            client = socket.create_connection(('127.0.0.1', peer.port), timeout=5)
            clients.append(client)
            client.sendall(b'GET / HTTP/1.1\r\nHost: bench.test\r\n\r\n')
            if not client.recv(4096).startswith(b'HTTP/1.1 200'):
                raise Failed('idle_memory: not answered with 200')
        return {'idle_memory': (settled_bytes(peer) - before) / IDLE_CONNECTIONS}
    finally:
        for client in clients:
            client.close()


def latency(peer, seconds):
    output = run_load([f'{peer.bin_folder}/bench_steady', peer.port, STEADY_RATE, seconds, STEADY_CONNECTIONS], seconds)
    figures = dict(re.findall(r'(p\d+)_us ([\d.]+)', output))
    return {'latency_p50': float(figures['p50']), 'latency_p99': float(figures['p99'])}


PROXIES = ('remuda', 'haproxy', 'nginx')

ROWS = (
    Row('http1_small', 'http', '64 keep-alive connections, 130-byte answers (wrk)', http1_small,
        figures={'http1_small': 'us CPU', 'target_connections': 'per 1,000 requests'}),
    Row('http1_1mib', 'http', '16 keep-alive connections, 1 MiB answers (wrk)',
        cpu_a_request('http1_1mib', path='/1mib', connections=16)),
    Row('http1_upload', 'http', '16 keep-alive connections, requests with a body of 1 MiB (wrk)',
        cpu_a_request('http1_upload', connections=16, script='upload.lua')),
    Row('connection_per_request', 'http', '64 clients, each request on a new connection (wrk)',
        cpu_a_request('connection_per_request', headers=['Connection: close']), peers=PROXIES),
    Row('https_small', 'https', '64 keep-alive connections over TLS, 130-byte answers (wrk)',
        cpu_a_request('https_small'), peers=PROXIES),
    Row('https_1mib', 'https', '16 keep-alive connections over TLS, 1 MiB answers (wrk)',
        cpu_a_request('https_1mib', path='/1mib', connections=16), peers=PROXIES),
    Row('h2', 'https', '16 connections with 16 streams each over TLS (h2load)', http2, peers=PROXIES),
    Row('tls_handshakes', 'https', f'{HANDSHAKE_CLIENTS} clients, each request on a new connection: full handshakes, '
        'RSA-2048 (openssl s_time -new)', handshakes, peers=PROXIES),
    Row('tls_resumptions', 'https', '16 clients, each request on a new connection: sessions resumed by tickets (wrk)',
        cpu_a_request('tls_resumptions', connections=16, headers=['Connection: close']), peers=PROXIES),
    Row('workers2_small', Setup('http', workers=2), 'http1_small with two workers (haproxy: threads; nginx: processes)',
        cpu_a_request('workers2_small'), peers=PROXIES),
    Row('least_small', Setup('http', targets=16, is_least=True), 'http1_small to the least loaded of 16 targets',
        cpu_a_request('least_small'), peers=PROXIES),
    Row('workers2_least_small', Setup('http', workers=2, targets=16, is_least=True),
        'http1_small to the least loaded of 16 targets, with two workers', cpu_a_request('workers2_least_small'),
        peers=PROXIES),
    Row('idle_memory', 'http', f'{IDLE_CONNECTIONS} idle keep-alive connections after a request each', idle_memory,
        peers=PROXIES, figures={'idle_memory': 'bytes'}),
    Row('latency', 'http', f'{STEADY_RATE} requests a second, evenly spaced, whatever the answers do (bench_steady)',
        latency, figures={'latency_p50': 'us', 'latency_p99': 'us'}),
)
