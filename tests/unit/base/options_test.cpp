// Options: precedence, strictness, messages that name FILE:LINE and the nearest key.
#include "base/options.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"

namespace homolog {
namespace {

struct Plan {
  double peak = 0.5;
  std::int64_t steps = 10;
  bool fast = false;
  std::string kind = "alice";
  std::vector<std::int64_t> heads = {3, 6};
  std::vector<std::string> names;
  std::filesystem::path out;
  int threads = 1;
};

void declare(Options& o, Plan& p) {
  o.add("schedule.peak", p.peak, "learning rate", {.min = 0, .max = 1});
  o.add("schedule.steps", p.steps, "steps", {.min = 1, .unit = "steps"});
  o.add("model.fast", p.fast, "fast");
  o.add("objective.kind", p.kind, "objective", {.choices = {"alice", "sam"}});
  o.add("model.heads", p.heads, "heads", {.min = 1, .max = 64});
  o.add("model.names", p.names, "names");
  o.add("out", p.out, "where to");
  o.add("data.threads", p.threads, "threads");
}

class OptionsFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("options-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string file(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return (folder_ / name).string();
  }
  bool parse(std::vector<std::string> words) {
    options_ = std::make_unique<Options>("prog", "--out FILE", "test");
    plan_ = {};
    declare(*options_, plan_);
    if (!foreign_.empty()) options_->leave_to_others(foreign_);
    std::vector<const char*> argv = {"prog"};
    for (const auto& word : words) argv.push_back(word.c_str());
    return options_->parse(static_cast<int>(argv.size()), argv.data());
  }
  // The message of the Usage fault that these words end in.
  std::string refusal(const std::vector<std::string>& words) {
    try {
      parse(words);
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Usage);
      return e.what();
    }
    ADD_FAILURE() << "accepted";
    return "";
  }
  std::filesystem::path folder_;
  std::unique_ptr<Options> options_;
  std::vector<std::string> foreign_;
  Plan plan_;
};

TEST_F(OptionsFile, LaterWins) {
  const auto base = file("base.ini", "[schedule]\npeak = 0.1\nsteps = 20\n[data]\nthreads=2\n");
  const auto over = file("over.ini", "[schedule]\npeak = 0.2\n");
  parse({"--config", base});
  EXPECT_DOUBLE_EQ(plan_.peak, 0.1);
  parse({"--config", base, "--config", over});
  EXPECT_DOUBLE_EQ(plan_.peak, 0.2);
  EXPECT_EQ(plan_.steps, 20);
  parse({"--set", "schedule.peak=0.3", "--config", over});
  EXPECT_DOUBLE_EQ(plan_.peak, 0.3) << "the order of words does not matter, files come first";
  parse({"--schedule.peak", "0.4", "--config", over, "--set", "schedule.peak=0.3"});
  EXPECT_DOUBLE_EQ(plan_.peak, 0.4);
  EXPECT_TRUE(options_->was_set("schedule.peak"));
  EXPECT_FALSE(options_->was_set("data.threads"));
}

TEST_F(OptionsFile, UnknownKeyNamesTheNearestAndTheLine) {
  const auto bad = file("bad.ini", "# comment\n[schedule]\nsteps = 5\npaek = 0.1\n");
  const std::string text = refusal({"--config", bad});
  EXPECT_NE(text.find("bad.ini:4"), std::string::npos) << text;
  EXPECT_NE(text.find("did you mean schedule.peak?"), std::string::npos) << text;
  EXPECT_NE(refusal({"--set", "data.thread=1"}).find("did you mean data.threads?"),
            std::string::npos);
  EXPECT_NE(refusal({"--schedule.peek=1"}).find("did you mean schedule.peak?"), std::string::npos);
  EXPECT_NE(refusal({"--zzzzzzzzzz=1"}).find("--help"), std::string::npos);
}

TEST_F(OptionsFile, WrongValuesNameTheLineAndWhatWouldBeRight) {
  const std::string text = refusal({"--config", file("bad.ini", "[schedule]\n\npeak = 7\n")});
  EXPECT_NE(text.find("bad.ini:3"), std::string::npos) << text;
  EXPECT_NE(text.find("0 to 1"), std::string::npos) << text;
  for (const char* word :
       {"--schedule.steps=0", "--schedule.steps=1.5", "--schedule.steps=", "--schedule.peak=nan",
        "--schedule.peak=inf", "--schedule.peak=1e", "--schedule.peak=0x1", "--model.fast=maybe",
        "--objective.kind=alise", "--model.heads=4,0", "--model.heads=4,,8", "--model.heads=a",
        "--schedule.steps=99999999999999999999", "--data.threads=3000000000",
        "--schedule.steps=+-3", "--data.threads=+-3", "--schedule.peak=", "--model.heads=4,",
        "--model.names=a\nb"}) {
    EXPECT_NE(refusal({word}), "") << word;
  }
  EXPECT_NE(refusal({"--objective.kind=alise"}).find("did you mean alice?"), std::string::npos);
}

TEST_F(OptionsFile, ListsBoolsAndSignsAreRead) {
  parse({"--model.heads=4, 8,16", "--model.fast", "--schedule.steps=+7", "--model.names=a,b",
         "--out", "x y"});
  EXPECT_EQ(plan_.heads, (std::vector<std::int64_t>{4, 8, 16}));
  EXPECT_TRUE(plan_.fast);
  EXPECT_EQ(plan_.steps, 7);
  EXPECT_EQ(plan_.names, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(plan_.out, "x y");
  parse({"--set", "model.heads="});
  EXPECT_TRUE(plan_.heads.empty());
  parse({"--config", file("b.ini", "[model]\nfast = yes\n")});
  EXPECT_TRUE(plan_.fast);
}

TEST_F(OptionsFile, ByteOrderMarkAndWindowsLinesAreAccepted) {
  parse({"--config",
         file("win.ini", "\xEF\xBB\xBF[schedule]\r\npeak = 0.25\r\n\r\n# end\r\nsteps=3\r\n")});
  EXPECT_DOUBLE_EQ(plan_.peak, 0.25);
  EXPECT_EQ(plan_.steps, 3);
}

TEST_F(OptionsFile, TheLineIsRightInWindowsFilesToo) {
  const auto text = refusal(
      {"--config", file("win.ini", "\xEF\xBB\xBF[schedule]\r\npeak = 0.25\r\nsteps = x\r\n")});
  EXPECT_NE(text.find("win.ini:3"), std::string::npos) << text;
}

TEST_F(OptionsFile, AKeyTwiceInAFileIsRefused) {
  const auto text =
      refusal({"--config",
               file("two.ini", "[schedule]\npeak=0.1\n[data]\nthreads=1\n[schedule]\npeak=0.2\n")});
  EXPECT_NE(text.find("schedule.peak is given twice"), std::string::npos) << text;
}

TEST_F(OptionsFile, ForeignSectionsAreLeftToOthersAndHandedOn) {
  foreign_ = {"cluster"};
  const auto ini = file("c.ini", "[cluster]\nanything = 1\n[schedule]\nsteps = 4\n");
  parse({"--config", ini, "--cluster.what=2", "--set", "cluster.more=3", "--schedule.peak=0.5"});
  EXPECT_EQ(plan_.steps, 4);
  EXPECT_EQ(options_->config_arguments(),
            (std::vector<std::string>{"--config", ini, "--set", "cluster.what=2", "--set",
                                      "cluster.more=3", "--set", "schedule.peak=0.5"}));
  EXPECT_NE(refusal({"--config", file("d.ini", "[clusters]\na = 1\n")}), "");
}

TEST_F(OptionsFile, ForeignOptionsMayStandApartFromTheirValueOrAlone) {
  foreign_ = {"cluster"};
  parse({"--cluster.what", "2", "--cluster.flag", "--cluster.last", "--schedule.steps", "5"});
  EXPECT_EQ(options_->config_arguments(),
            (std::vector<std::string>{"--set", "cluster.what=2", "--set", "cluster.flag=true",
                                      "--set", "cluster.last=true", "--set", "schedule.steps=5"}));
}

TEST_F(OptionsFile, BrokenAndMissingFilesAreRefused) {
  EXPECT_NE(refusal({"--config", (folder_ / "none.ini").string()}).find("none.ini"),
            std::string::npos);
  EXPECT_NE(refusal({"--config", folder_.string()}), "");
  EXPECT_NE(refusal({"--config", file("e.ini", "[schedule]\nnot a pair\n")}).find("e.ini"),
            std::string::npos);
  EXPECT_NE(refusal({"--config", file("f.ini", "steps = 3\n")}), "")
      << "a key outside of a section";
  EXPECT_NE(refusal({"--set", "schedule.peak"}).find("'='"), std::string::npos);
  EXPECT_NE(refusal({"stray"}).find("stray"), std::string::npos);
}

TEST_F(OptionsFile, TheDumpReadsBackToTheSameSettings) {
  parse({"--schedule.peak=0.12345678901234567", "--model.heads=1,2,3", "--model.fast",
         "--objective.kind=sam"});
  const std::string dump = options_->dump();
  EXPECT_EQ(dump.find("out"), std::string::npos) << "only keys of sections";
  const Plan before = plan_;
  parse({"--config", file("dump.ini", dump)});
  EXPECT_EQ(plan_.peak, before.peak) << "every bit";
  EXPECT_EQ(plan_.heads, before.heads);
  EXPECT_EQ(plan_.fast, before.fast);
  EXPECT_EQ(plan_.kind, before.kind);
  EXPECT_EQ(options_->dump(), dump);
}

TEST_F(OptionsFile, EmptyListsAndTextsSurviveTheDump) {
  parse({"--set", "model.heads=", "--set", "model.names="});
  const std::string dump = options_->dump();
  parse({"--config", file("dump.ini", dump)});
  EXPECT_TRUE(plan_.heads.empty());
  EXPECT_TRUE(plan_.names.empty());
}

TEST_F(OptionsFile, HelpTellsDefaultsUnitsAndChoices) {
  parse({});
  const std::string help = options_->help();
  for (const char* part : {"usage: prog --out FILE", "--schedule.steps (steps)", "default 10",
                           "0 to 1", "alice, sam", "3,6", "--set"}) {
    EXPECT_NE(help.find(part), std::string::npos) << part;
  }
}

TEST(Options, RequiredAndPositional) {
  Options options("prog", "", "");
  std::string store;
  std::vector<std::string> words;
  options.add("store", store, "the store", {.required = true});
  options.positional("PATH", words, "paths");
  const char* without[] = {"prog", "a"};
  EXPECT_THROW(options.parse(2, without), Error);
  words.clear();
  const char* with[] = {"prog", "a", "--store", "s", "b c"};
  EXPECT_TRUE(options.parse(5, with));
  EXPECT_EQ(words, (std::vector<std::string>{"a", "b c"}));
}

TEST(Options, AWordAfterAFlagIsItsValueOnlyIfItSaysYesOrNo) {
  const auto read = [](std::vector<const char*> words) {
    Options options("t", "", "");
    bool json = false;
    std::vector<std::string> positional;
    options.positional("STORE", positional, "a folder");
    options.add("json", json, "as JSON");
    words.insert(words.begin(), "t");
    EXPECT_TRUE(options.parse(static_cast<int>(words.size()), words.data()));
    return std::pair(json, positional);
  };
  EXPECT_EQ(read({"--json", "store"}), std::pair(true, std::vector<std::string>{"store"}));
  EXPECT_EQ(read({"store", "--json"}), std::pair(true, std::vector<std::string>{"store"}));
  EXPECT_EQ(read({"--json", "off", "store"}), std::pair(false, std::vector<std::string>{"store"}));
  EXPECT_THROW(read({"--json=store"}), Error);
}

TEST(Options, NegativeNumbersAreValues) {
  Options options("prog", "", "");
  std::int64_t low = 0;
  options.add("low", low, "HU");
  const char* words[] = {"prog", "--low", "-1024"};
  EXPECT_TRUE(options.parse(3, words));
  EXPECT_EQ(low, -1024);
}

TEST(Options, DeclaringTwiceIsAProgrammersError) {
  Options options("prog", "", "");
  int a = 0;
  options.add("a", a, "");
  EXPECT_THROW(options.add("a", a, ""), std::logic_error);
}

TEST_F(OptionsFile, AKeyWithoutItsSectionIsFoundByItsLastPart) {
  EXPECT_NE(refusal({"--threads=2"}).find("did you mean data.threads?"), std::string::npos);
  EXPECT_NE(refusal({"--thread=2"}).find("did you mean data.threads?"), std::string::npos);
  EXPECT_NE(refusal({"--oud=x"}).find("did you mean out?"), std::string::npos);
}

TEST(Options, CheckConfigEndsAfterAllChecks) {
  Plan plan;
  Options options("p", "", "");
  declare(options, plan);
  options.add("need", plan.kind, "needed", {.required = true});
  const char* good[] = {"p", "--need=x", "--check-config"};
  EXPECT_FALSE(options.parse(3, good));
  Options strict("p", "", "");
  strict.add("need", plan.kind, "needed", {.required = true});
  const char* bad[] = {"p", "--check-config"};
  EXPECT_THROW(strict.parse(2, bad), Error);
}

TEST(Options, AShortHIsHelp) {
  Options options("p", "", "");
  const char* words[] = {"p", "-h"};
  testing::internal::CaptureStdout();
  EXPECT_FALSE(options.parse(2, words));
  EXPECT_NE(testing::internal::GetCapturedStdout().find("usage: p"), std::string::npos);
}

TEST(Options, NearestWordIsSilentWhenNothingIsNear) {
  EXPECT_EQ(nearest_word("monitr", {"launch", "monitor"}), "monitor");
  EXPECT_EQ(nearest_word("abcdef", {"launch", "monitor"}), "");
}

}  // namespace
}  // namespace homolog
