"""CPU per request of Gatelodge and its peers, interleaved in one run.

`--peers proxies`: nginx and HAProxy beside Gatelodge without, with one and with
five plugins. `--peers plugins`: nginx with Lua and Envoy with a V8 filter that
do the same work as Gatelodge's plugin, each without, with one and with five.

Each proxy has one worker and its own backend: an nginx that answers three
bytes. One proxy at a time gets load from `wrk -t1 -c64` (keep-alive GET); the
time is the CPU time (user and system, all threads) of the proxy's processes,
divided by the requests that were answered.
"""

import argparse
import contextlib
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TICK = 1_000_000 / os.sysconf("SC_CLK_TCK")  # microseconds

BACKEND = """daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; location / {{ default_type text/plain; return 200 "ok\\n"; }} }}
}}
"""

NGINX = """{modules}daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  upstream app {{ server 127.0.0.1:{backend}; keepalive 64; keepalive_requests 1000000000; keepalive_timeout 3600s; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
{filters}      proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr:$remote_port; proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
}}
"""

LUA_MODULES = [f"/usr/lib/nginx/modules/{name}.so" for name in ("ndk_http_module", "ngx_http_lua_module")]

LUA = """      do
        local agent, accept = ngx.var.http_user_agent, ngx.var.http_accept
        local seen = "one"
        if agent and accept then seen = "both" elseif not agent and not accept then seen = "none" end
        ngx.req.set_header("x-seen", seen)
      end
"""

ENVOY_FILTER = """
          - name: p{number}
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: p{number}
                root_id: p{number}
                vm_config:
                  vm_id: p{number}
                  runtime: envoy.wasm.runtime.v8
                  code: {{local: {{filename: "{filter}"}}}}"""

ENVOY = """
static_resources:
  listeners:
  - name: in
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          use_remote_address: true
          generate_request_id: false
          http_filters:{filters}
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: "/"}}, route: {{cluster: app}}}}]
  clusters:
  - name: app
    type: STATIC
    load_assignment:
      cluster_name: app
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {backend}}}}}}}
"""

HAPROXY = """global
  nbthread 1
  maxconn 1000
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  http-reuse always
frontend in
  bind 127.0.0.1:{port}
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  default_backend app
backend app
  server a 127.0.0.1:{backend}
"""

WEB_CONFIG = """<configuration><system.webServer>
  <handlers><add name="app" path="*" verb="*" modules="AspNetCoreModuleV2" /></handlers>
  <aspNetCore processPath="/bin/sh" arguments="./backend.sh" />
</system.webServer></configuration>
"""

BACKEND_SH = """set -eu
sed "s/@PORT@/$ASPNETCORE_PORT/" backend.conf.in > backend.conf
exec {nginx} -p "$PWD" -e stderr -c "$PWD/backend.conf"
"""


def lua(filters):
    return f"      rewrite_by_lua_block {{\n{LUA * filters}      }}\n" if filters else ""


class Proxy:
    """A running proxy: its name, its address, the processes that count."""

    def __init__(self, name, port, pids):
        self.name, self.port, self.pids = name, port, pids
        self.runs = []
        self.idle_bytes = None

    def cpu(self):
        """Microseconds of CPU time so far, of all threads."""
        total = 0
        for pid in self.pids:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total * TICK

    def resident(self):
        total = 0
        for pid in self.pids:
            with open(f"/proc/{pid}/status") as file:
                total += int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) * 1024
        return total


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(port):
    with socket.create_connection(("127.0.0.1", port), 10) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := stream.recv(65536):
            answer += piece
    if not answer.startswith(b"HTTP/1.1 200") or b"ok" not in answer:
        raise RuntimeError(f"port {port} answers {answer[:500]!r}")


def wait_for(port, limit=30):
    end = time.monotonic() + limit
    while True:
        try:
            get(port)
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


class Bench:
    def __init__(self, args, stack, folder):
        self.args, self.stack, self.folder = args, stack, folder
        self.nginx = shutil.which("nginx")

    def path(self, *parts):
        path = os.path.join(self.folder, *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def write(self, text, *parts):
        path = self.path(*parts)
        with open(path, "w") as file:
            file.write(text)
        return path

    def start(self, command, **more):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **more)

        def stop():
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

        self.stack.callback(stop)
        return process

    def start_nginx(self, name, text, **values):
        conf = self.write(text.format(folder=os.path.join(self.folder, name), **values), name, "nginx.conf")
        folder = os.path.dirname(conf)
        return self.start([self.nginx, "-p", folder, "-e", "stderr", "-c", conf])

    def backend(self, name):
        port = free_port()
        self.start_nginx(name, BACKEND, port=port)
        wait_for(port)
        return port

    def peer_nginx(self, filters=0):
        """nginx; with `filters`, that many Lua blocks, each doing a plugin's work."""
        port = free_port()
        folder = f"nginx-{filters}"
        modules = "".join(f"load_module {name}; " for name in LUA_MODULES) if filters else ""
        backend = self.backend(f"{folder}-backend")
        # A location takes one block: it repeats the work.
        master = self.start_nginx(folder, NGINX, port=port, backend=backend, modules=modules, filters=lua(filters))
        wait_for(port)
        return Proxy(f"nginx, {filters} Lua" if filters else "nginx", port, children(master.pid))

    def peer_envoy(self, filters):
        port = free_port()
        chain = "".join(ENVOY_FILTER.format(number=n, filter=self.args.envoy_filter) for n in range(filters))
        folder = f"envoy-{filters}"
        text = ENVOY.format(port=port, backend=self.backend(f"{folder}-backend"), filters=chain)
        conf = self.write(text, folder, "envoy.yaml")
        command = [self.args.envoy, "-c", conf, "--concurrency", "1", "--disable-hot-restart", "-l", "off"]
        process = self.start(command)
        wait_for(port)
        return Proxy(f"Envoy, {filters} V8" if filters else "Envoy", port, [process.pid])

    def peer_haproxy(self):
        port = free_port()
        conf = self.write(HAPROXY.format(port=port, backend=self.backend("haproxy-backend")), "haproxy", "haproxy.cfg")
        process = self.start([shutil.which("haproxy"), "-db", "-q", "-f", conf])
        wait_for(port)
        return Proxy("HAProxy", port, [process.pid])

    def gatelodge(self, plugins, isolation=None):
        site = f"gatelodge-{plugins}-{isolation}"
        folder = os.path.dirname(self.write(WEB_CONFIG, site, "web.config"))
        self.write(BACKEND.format(folder=folder, port="@PORT@"), site, "backend.conf.in")
        self.write(BACKEND_SH.format(nginx=self.nginx), site, "backend.sh")
        more = f'isolation = "{isolation}"\n' if isolation else ""
        if plugins:
            shutil.copy(self.args.plugin, self.path(site, "plugin.wasm"))
            entries = "".join(
                f'[[plugin]]\nname = "p{n}"\nmodule = "plugin.wasm"\n{more}[plugin.grants]\nlog = true\n'
                for n in range(plugins)
            )
            self.write(entries, site, "plugins.toml")
        command = [self.args.gatelodge, "run", folder, "--listen", "http://127.0.0.1:0", "--workers", "1"]
        process = self.start(command, stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if found := re.match(r"listening on http://127\.0\.0\.1:(\d+)", line):
                break
        else:
            raise RuntimeError(f"gatelodge did not start in {folder}")
        # What it says later must not fill the pipe.
        self.stack.enter_context(open_drain(process.stderr))
        port = int(found.group(1))
        wait_for(port)
        what = {0: "no plugin", 1: "1 plugin"}.get(plugins, f"{plugins} plugins")
        return Proxy(f"Gatelodge, {what}{', fresh' if isolation == 'request' else ''}", port, [process.pid])

    def participants(self):
        if self.args.peers == "proxies":
            return [self.peer_nginx(), self.peer_haproxy(), *map(self.gatelodge, (0, 1, 5))]
        return [
            self.peer_nginx(), self.peer_nginx(1), self.peer_nginx(5),
            self.peer_envoy(0), self.peer_envoy(1), self.peer_envoy(5),
            *map(self.gatelodge, (0, 1, 5)), self.gatelodge(1, "request"),
        ]


@contextlib.contextmanager
def open_drain(pipe):
    import threading

    thread = threading.Thread(target=lambda: [None for _ in pipe], daemon=True)
    thread.start()
    yield


def load(port, seconds):
    """Runs wrk; gives requests answered and how many were not 2xx."""
    command = ["wrk", "-t1", "-c64", f"-d{seconds}s", f"http://127.0.0.1:{port}/"]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60).stdout
    requests = int(re.search(r"(\d+) requests in", output).group(1))
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    errors = re.search(r"Socket errors: (.*)", output)
    if bad or errors:
        raise RuntimeError(f"port {port}: {output}")
    return requests


def measure(proxy, seconds):
    before = proxy.cpu()
    begin = time.monotonic()
    requests = load(proxy.port, seconds)
    wall = time.monotonic() - begin
    run = {"requests": requests, "cpu_us": proxy.cpu() - before, "seconds": wall}
    run["us_per_request"] = run["cpu_us"] / requests
    proxy.runs.append(run)


def report(proxies):
    base = {run: proxies[0].runs[run]["us_per_request"] for run in range(len(proxies[0].runs))}
    rows = []
    for proxy in proxies:
        each = [run["us_per_request"] for run in proxy.runs]
        ratios = [value / base[number] for number, value in enumerate(each)]
        rows.append({
            "name": proxy.name,
            "us_min": min(each),
            "us_median": statistics.median(each),
            "ratio_min": min(each) / min(base.values()),
            "ratio_median": statistics.median(ratios),
            "requests_per_second": statistics.median(run["requests"] / run["seconds"] for run in proxy.runs),
            "idle_mib": proxy.idle_bytes / 2**20,
            "loaded_mib": proxy.resident() / 2**20,
            "runs": proxy.runs,
        })
    head = ["proxy", "us/req min", "median", "/ nginx min", "median", "req/s", "idle MiB", "loaded MiB"]
    print(("{:<24}" + "{:>12}" * 7).format(*head))
    for row in rows:
        numbers = [row["us_min"], row["us_median"], row["ratio_min"], row["ratio_median"]]
        print(f"{row['name']:<24}" + "".join(f"{n:>12.2f}" for n in numbers)
              + f"{row['requests_per_second']:>12.0f}{row['idle_mib']:>12.1f}{row['loaded_mib']:>12.1f}")
    further(rows)
    return rows


def further(rows):
    """What each plugin costs, and what one more of them does beside four others."""
    by_name = {row["name"]: row["us_min"] for row in rows}
    chains = [
        ("Gatelodge", "Gatelodge, no plugin", "Gatelodge, 1 plugin", "Gatelodge, 5 plugins"),
        ("nginx with Lua", "nginx", "nginx, 1 Lua", "nginx, 5 Lua"),
        ("Envoy with V8", "Envoy", "Envoy, 1 V8", "Envoy, 5 V8"),
    ]
    print("\nby minima, us of CPU: the first plugin / each further one")
    for name, *chain in chains:
        none, one, five = map(by_name.get, chain)
        if none and one and five:
            print(f"{name:<24}{one - none:>8.2f} /{(five - one) / 4:>6.2f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gatelodge", required=True)
    parser.add_argument("--plugin", required=True)
    parser.add_argument("--peers", choices=["proxies", "plugins"], default="proxies")
    parser.add_argument("--envoy", help="Envoy's binary, for `--peers plugins`")
    parser.add_argument("--envoy-filter", help="the compiled tests/bench/envoy-filter")
    parser.add_argument("--out", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    args = parser.parse_args()
    args.gatelodge, args.plugin = os.path.abspath(args.gatelodge), os.path.abspath(args.plugin)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="gatelodge-bench-"))
        bench = Bench(args, stack, folder)
        proxies = bench.participants()
        for proxy in proxies:
            proxy.idle_bytes = proxy.resident()
        for proxy in proxies:  # warm-up
            load(proxy.port, 1)
        for number in range(args.rounds):
            print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
            # The order turns, so that none always comes after the same neighbour.
            for proxy in proxies[number % len(proxies):] + proxies[:number % len(proxies)]:
                measure(proxy, args.seconds)
        rows = report(proxies)
        raw = {"machine": platform.platform(), "cpus": os.cpu_count(), "seconds": args.seconds, "proxies": rows}
        out = os.path.join(args.out, time.strftime(f"bench-{args.peers}-%Y%m%d-%H%M%S.json", time.gmtime()))
        with open(out, "w") as file:
            json.dump(raw, file, indent=1)
        print(f"\nraw numbers: {out}")


if __name__ == "__main__":
    main()
