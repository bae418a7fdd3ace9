"""plot.py ROWS.json OUT.svg: draws the rows that `./run bench startup --json ROWS.json` wrote, seconds against workers, both logarithmic."""
import json
import math
import re
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 400, 56, 200, 20, 44
COLORS = {"mpi": "#1f6feb", "tcp": "#d1570f"}
NAMES = {"to the first all-reduce": ("to the first all-reduce", ""), "processor time a rank": ("processor time a rank", "5 4")}


def series(rows):
    """(way, what) -> [(workers, seconds)]"""
    found = {}
    for row in rows:
        match = re.fullmatch(r"(mpi|tcp), (\d+) workers, (.*)", row["name"])
        if row["part"] == "startup" and match:
            found.setdefault((match[1], match[3]), []).append((int(match[2]), row["ours"]))
    return found


def drawn(all_series):
    points = [point for line in all_series.values() for point in line]
    most = max(x for x, _ in points)
    low = 10 ** math.floor(math.log10(min(y for _, y in points)))
    high = 10 ** math.ceil(math.log10(max(y for _, y in points)))
    x_of = lambda x: LEFT + (WIDTH - LEFT - RIGHT) * math.log2(x) / max(1, math.log2(most))
    y_of = lambda y: HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * math.log(y / low) / math.log(high / low)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>']
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        y = y_of(10.0 ** power)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>'
                   f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0 ** power:g}</text>')
    for x in sorted({x for x, _ in points}):
        out.append(f'<text x="{x_of(x):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{x}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">workers</text>'
               f'<text x="14" y="{(TOP + HEIGHT - BOTTOM) / 2}" transform="rotate(-90 14 {(TOP + HEIGHT - BOTTOM) / 2})" '
               'text-anchor="middle">seconds</text>')
    for number, ((way, what), line) in enumerate(sorted(all_series.items(), key=lambda item: item[0][1], reverse=True)):
        color, (name, dash) = COLORS[way], NAMES[what]
        path = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in line)
        out.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2" stroke-dasharray="{dash}"/>')
        y = TOP + 20 + 20 * number
        out.append(f'<line x1="{WIDTH - RIGHT + 12}" x2="{WIDTH - RIGHT + 36}" y1="{y - 4}" y2="{y - 4}" stroke="{color}" stroke-width="2" '
                   f'stroke-dasharray="{dash}"/><text x="{WIDTH - RIGHT + 42}" y="{y}">{way}, {name}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as rows, open(sys.argv[2], "w", encoding="utf-8") as out:
        out.write(drawn(series(json.load(rows))))


main()
