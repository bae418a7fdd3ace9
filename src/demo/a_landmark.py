"""Prints x,y,z (LPS mm, in the first body) of a landmark of the liver that both bodies show."""
import json
import sys

truth, first, second = json.load(open(sys.argv[1])), sys.argv[2], sys.argv[3]
for point in truth["points"]:
    at, there = (truth["bodies"][body][point["id"]] for body in (first, second))
    if point["organ"] == "liver" and at and there:
        print(",".join(f"{value:.2f}" for value in at))
        break
else:
    sys.exit("no landmark of the liver lies in both bodies")
