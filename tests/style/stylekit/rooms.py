"""The rooms of src: who may include whom, and by which doors."""

# A folder may include itself and what stands here. Arrows point inward: link and host never see
# each other, and neither sees flow.
MAY_INCLUDE = {
    "base": set(),
    "wire": {"base"},
    "policy": {"wire", "base"},
    "flow": {"policy", "wire", "base"},
    "link": {"wire", "base"},
    "host": {"wire", "base"},
    "telemetry": {"policy", "wire", "base"},
    "driver": {"relay", "telemetry", "host", "link", "flow", "policy", "wire", "base"},
    "relay": {"host", "policy", "wire", "base"},
    "forward": {"relay", "telemetry", "host", "policy", "wire", "base"},
    "control": {"forward", "telemetry", "policy", "wire", "base"},
    "app": {"control", "forward", "relay", "driver", "telemetry", "host", "link", "flow", "policy",
            "wire", "base"},
}

# The headers of a folder that others may include; of a folder that does not stand here, all.
DOORS = {
    "forward": {"plan.h", "supervisor.h"},
}

# The core: bytes, times and seeds are arguments there.
SANS_IO = {"wire", "policy", "flow"}

# Where objects on the data path live.
NO_SHARED_OWNERSHIP = {"base", "wire", "policy", "flow", "driver", "link", "host"}
