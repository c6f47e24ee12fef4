"""Models as plug-ins: a file with a manifest that says what it is, and what opens it."""

import os

# Since 1.29 ONNX Runtime tells its makers what it is used for, unless this is set before it is
# loaded: it leaves an identifier on the disk and sends what it counts over the network. It is
# imported nowhere outside of this package.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
