"""Fetches a page over HTTP with the standard library, as in any Python."""

import http.client
import sys

_, host, port, path = sys.argv
connection = http.client.HTTPConnection(host, int(port), timeout=30)
connection.request("GET", path)
response = connection.getresponse()
print(response.status, response.reason)
print(response.read().decode())
connection.close()
