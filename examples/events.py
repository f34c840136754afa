"""Several runs at once, with their output as it comes, in one thread."""

from __future__ import annotations

import evalbox

with evalbox.Session() as session:
    names = {}
    for name, seconds in [("slow", 0.3), ("quick", 0.1), ("stuck", 60)]:
        plan = evalbox.Plan(["sh", "-c", f"echo begun; sleep {seconds}; echo done"]).timeout(1)
        names[session.spawn(plan)] = name
    for event in session:
        name = names[event.job]
        match event:
            case evalbox.Stdout(data=data):
                print(f"{name}: {data.decode().strip()}")
            case evalbox.Completed(output=output):
                print(f"{name}: ended with exit code {output.exit_code}")
            case evalbox.TimedOut():
                print(f"{name}: out of time")
