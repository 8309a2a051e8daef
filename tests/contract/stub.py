"""The smallest server JupyterHub would take for ready; runs inside test containers and behaves as told."""

import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
print("Serving", os.environ["JUPYTERHUB_SERVICE_PREFIX"], flush=True)
behaviour = sys.argv[1]
if behaviour == "crashes":
    # A careless server that prints its token: what we show must not.
    print("Cannot go on.", os.environ["JUPYTERHUB_API_TOKEN"], flush=True)
    sys.exit(1)
if behaviour == "is silent":
    time.sleep(600)
HTTPServer(("0.0.0.0", 8888), Handler).serve_forever()
