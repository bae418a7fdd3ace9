"""Gathers the demo's figures into summary.json and prints them with the commands for the user's own scans."""
import json
import pathlib
import sys

folder, port, seconds = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
landmarks = json.loads((folder / "landmarks.json").read_text())
lines = [json.loads(line) for line in (folder / "alice" / "metrics.jsonl").read_text().splitlines()]
steps = [line for line in lines if "total" in line and not line.get("skipped")]
manifest = json.loads((folder / "alice" / "manifest.json").read_text())
tail = steps[-max(1, len(steps) // 5):]
head = steps[:max(1, len(steps) // 10)]


def mean(rows, key):
    return sum(row[key] for row in rows) / len(rows)


def start_and_end(name):
    return [sum(row["terms"][name] for row in rows) / len(rows) for rows in (head, tail)]


terms = {name: start_and_end(name) for name in ("inter", "intra", "reconstruction")}
summary = {
    "landmark_error_mm_median": landmarks["whole"]["sam"]["median_mm"],
    "landmark_error_mm_p90": landmarks["whole"]["sam"]["p90_mm"],
    "box_error_mm_median": landmarks["whole"]["box"]["median_mm"],
    "landmark_error_mm_median_cut": landmarks["cut"]["sam"]["median_mm"],
    "box_error_mm_median_cut": landmarks["cut"]["box"]["median_mm"],
    "loss_first": mean(head, "total"),
    "loss_last": mean(tail, "total"),
    "loss_terms": terms,
    "steps": steps[-1]["step"] + 1,
    "pairs_per_s": sorted(row["pairs_per_s"] for row in steps)[len(steps) // 2],
    "resumed": manifest.get("resumed_from_step") is not None,
    "weights": str(folder / "encoder.safetensors"),
    "report": str(folder / "alice" / "report.html"),
    "page": f"http://localhost:{port}/",
    "match_picture": str(folder / "match.png"),
    "seconds": seconds,
}
(folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")

parts = ", ".join(f"{name} {first:.2f} -> {last:.2f}" for name, (first, last) in terms.items())
print(f"""
homolog demo, {seconds // 60} min {seconds % 60:02d} s

  landmark error, median      {summary['landmark_error_mm_median']:6.1f} mm   (boxes onto each other: {summary['box_error_mm_median']:.1f} mm)
  same, target cut short in z {summary['landmark_error_mm_median_cut']:6.1f} mm   (boxes onto each other: {summary['box_error_mm_median_cut']:.1f} mm)
  loss, start -> end          {summary['loss_first']:6.2f} -> {summary['loss_last']:.2f} over {summary['steps']} steps
    its weighted terms        {parts}
  speed                       {summary['pairs_per_s']:6.2f} pairs/s with two workers
  resumed from its checkpoint {'yes' if summary['resumed'] else 'NO'}

  weights   {summary['weights']}
  report    {summary['report']}
  match     {summary['match_picture']}
  page      {summary['page']} while a run is going: homolog monitor --run {folder}/alice shows this one again
  figures   {folder}/summary.json

The same on your own scans:

  export PATH=$PWD/build/bin:$PATH
  homolog catalog /path/to/your/ct --out catalog.jsonl
  homolog sam train --catalog catalog.jsonl --config configs/sam_small.ini --run runs/sam
  homolog shard  --catalog catalog.jsonl --sam runs/sam/sam.safetensors --out store --config configs/shard_small.ini
  homolog launch --config configs/alice_small.ini --set data.store=store --run runs/alice --workers 2
  homolog report runs/alice
  homolog export runs/alice --out encoder.safetensors --layout reference

  (with GPUs: configs/sam.ini, no configs/shard_small.ini, configs/alice_nnformer.ini)
""")
