"""peak.py COMMAND...: wall seconds and peak memory of a command, as one JSON object."""
import json
import os
import subprocess
import sys
import time

start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
if status:
    sys.exit(os.waitstatus_to_exitcode(status))
print(json.dumps({"seconds": time.perf_counter() - start, "peak_mib": usage.ru_maxrss / 1024}))
