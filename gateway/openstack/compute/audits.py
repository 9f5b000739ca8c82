"""Nova's log of audits that hosts make of their use, of which weft makes none: it says so of each host."""

from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.openstack import times
from gateway.openstack.call import Call
from gateway.openstack.compute import hosts
from gateway.openstack.dialect import Route
from mesh import clock

_TIME = "%Y-%m-%d %H:%M:%S"


async def index(call: Call) -> dict[str, Any]:
    """GET /os-instance_usage_audit_log: of the month before this one."""
    return {"instance_usage_audit_logs": await _log(call, clock.now())}


async def show(call: Call) -> dict[str, Any]:
    """GET /os-instance_usage_audit_log/{before}: of the last whole month before a time."""
    before = times.read(call.params["before"]).ToDatetime(UTC)
    return {"instance_usage_audit_log": await _log(call, before)}


async def _log(call: Call, before: datetime) -> dict[str, Any]:
    ends = before.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    names = sorted([host.name async for host in hosts.listed(call)])
    return {
        "hosts_not_run": names,
        "log": {},
        "num_hosts": len(names),
        "num_hosts_done": 0,
        "num_hosts_not_run": len(names),
        "num_hosts_running": 0,
        "overall_status": f"0 of {len(names)} hosts done. 0 errors.",
        "period_beginning": (ends - timedelta(days=1)).replace(day=1).strftime(_TIME),
        "period_ending": ends.strftime(_TIME),
        "total_errors": 0,
        "total_instances": 0,
    }


_PATH = "/v2.1/os-instance_usage_audit_log"
ROUTES = (
    Route("GET", _PATH, index, administers=True),
    Route("GET", f"{_PATH}/{{before}}", show, administers=True),
)
