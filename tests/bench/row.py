"""What the bench tells of one thing: a row."""
import statistics


def row(part, name, ours, peer=None, unit="", goal=None, note="", better="more"):
    ours = [value for value in ours]
    mid = statistics.median(ours)
    spread = (max(ours) - min(ours)) / mid if mid else 0.0
    peer_mid = statistics.median(peer) if peer else None
    ratio = None
    if peer_mid:
        ratio = mid / peer_mid if better == "more" else peer_mid / mid
    met = None if goal is None or ratio is None else ratio >= goal
    return {"part": part, "name": name, "ours": mid, "peer": peer_mid, "ratio": ratio, "spread": spread,
            "goal": goal, "met": met, "unit": unit, "note": note}


def missing(part, name, goal, unit, why):
    return {"part": part, "name": name, "ours": None, "peer": None, "ratio": None, "spread": 0.0, "goal": goal, "met": None, "unit": unit,
            "note": f"not measured: {why}"}
