"""Every recipe in configs/ is accepted by its program; the reference code's recipe differs from the paper's
in the options of docs/method/deviations.md alone, and a row of Tables 10 and 11 in its own weights alone.
"""
import configparser
import sys

from programs import SOURCE, check, finish, run

CONFIGS = SOURCE / "configs"
PAPER, CODE = CONFIGS / "alice_nnformer.ini", CONFIGS / "alice_nnformer_code.ini"


def train(*words):
    done = run("homolog-train", "--run", "nowhere", "--data.store", "nowhere", *words, timeout=120)
    return done.returncode, done.stdout, done.stderr


def accepted(*recipes):
    words = [word for recipe in recipes for word in ("--config", recipe)]
    code, _, said = train(*words, "--check-config")
    check(f"{' + '.join(str(r.relative_to(CONFIGS)) for r in recipes)} is accepted", code == 0, said)


def settings(*recipes, extra=()):
    code, text, said = train(*[word for recipe in recipes for word in ("--config", recipe)], *extra, "--dump-config")
    if code:
        sys.exit(f"--dump-config failed: {said}")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    return {f"{section}.{key}": value for section in parser.sections() for key, value in parser[section].items()}


def differing(a, b):
    return {key: (a.get(key), b.get(key)) for key in sorted({*a, *b}) if a.get(key) != b.get(key)}


for recipe in sorted(CONFIGS.glob("alice*.ini")):
    accepted(recipe)
defaults, paper, code = settings(), settings(PAPER), settings(CODE)

check("the paper's recipe sets the defaults of model and objective",
      not [key for key in differing(defaults, paper) if key.startswith("model.")
           or (key.startswith("objective.") and key != "objective.alice.mask_shape")], differing(defaults, paper))

SWITCHED = {
    "model.nnformer.position": ("learned", "fixed"),
    "objective.alice.target_tokens": ("encoder", "decoder"),
    "objective.alice.casa_ema": ("true", "false"),
    "objective.alice.zeta": ("true", "false"),
    "objective.alice.target_last": ("last", "last2"),
    "objective.alice.target_dropout": ("false", "true"),
    "objective.alice.drop_path_epochs": ("0", "1"),
    "objective.alice.target_drop_path": ("false", "true"),
    "data.augment_teacher": ("true", "false"),
}
check("the code's recipe differs in its switches alone", differing(paper, code) == SWITCHED, differing(paper, code))
table = (SOURCE / "docs/method/deviations.md").read_text()
for key in SWITCHED:
    check(f"{key} is documented", key.split(".")[-1] in table)

rows = {f"table10/target_mask_{int(100 * ratio):02d}.ini": {"target_mask_ratio": ratio} for ratio in (0, 0.25, 0.5, 0.75)}
for name, reconstruction, inter, intra in (("inter", 0, 1, 0), ("reconstruction_inter", 10, 1, 0),
                                           ("reconstruction_intra", 10, 0, 1), ("alice", 10, 1, 1)):
    rows[f"table11/{name}.ini"] = {"lambda_reconstruction": reconstruction, "lambda_inter": inter, "lambda_intra": intra}
present = {str(path.relative_to(CONFIGS / "studies")) for path in (CONFIGS / "studies").glob("table1[01]/*.ini")}
check("each row of Tables 10 and 11 has its file", present == set(rows), present ^ set(rows))
for name, wanted in sorted(rows.items()):
    overlay = CONFIGS / "studies" / name
    accepted(PAPER, overlay)
    row = settings(PAPER, overlay)
    check(f"{name} sets its values", all(float(row[f"objective.alice.{key}"]) == value for key, value in wanted.items()), row)
    check(f"{name} leaves all else alone", set(differing(paper, row)) <= {f"objective.alice.{key}" for key in wanted},
          differing(paper, row))

finish()
