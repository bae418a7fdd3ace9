// From facts and figures to verdicts.
#include "cluster/doctor/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace homolog::doctor {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Two hosts with two ranks each, four cores a host.
std::vector<RankFacts> four_ranks() {
  std::vector<RankFacts> all(4);
  for (int i = 0; i < 4; ++i) {
    RankFacts& f = all[static_cast<std::size_t>(i)];
    f.rank = i;
    f.local_index = i % 2;
    f.host = i < 2 ? "n1" : "n2";
    f.cpus = {0, 1, 2, 3};
    f.threads = 2;
    f.open_files = 20000;
    f.shm_size = f.shm_free = std::uint64_t{8} << 30;
    f.versions = {{"homolog", "1.0"}, {"torch", "2.11"}, {"driver", ""}};
  }
  return all;
}

std::vector<RankFacts> four_gpus() {
  auto all = four_ranks();
  for (RankFacts& f : all) {
    f.gpu = "0000:0" + std::to_string(f.local_index) + ":00.0";
    f.gpu_name = "H200";
    f.gpus_on_host = 2;
  }
  return all;
}

std::vector<Measured> figures(const std::string& key, const std::vector<double>& values) {
  std::vector<Measured> all;
  for (const double value : values) all.push_back({"", {{key, value}}});
  return all;
}

TEST(JudgeHosts, SaysWhoIsWhere) {
  const Rung rung = judge_hosts(four_gpus());
  EXPECT_EQ(rung.verdict, Verdict::Ok);
  EXPECT_THAT(rung.measured, AllOf(HasSubstr("4 ranks on 2 hosts"), HasSubstr("n1: ranks 0-1"),
                                   HasSubstr("n2: ranks 2-3"), HasSubstr("2 x H200")));
}

TEST(JudgeHosts, ARankWithoutAGpuOfItsOwnFails) {
  auto facts = four_gpus();
  facts[3].gpu = "";
  const Rung rung = judge_hosts(facts);
  EXPECT_EQ(rung.verdict, Verdict::Failed);
  EXPECT_THAT(rung.findings, ElementsAre(HasSubstr("rank 3 on host n2 has no GPU")));
}

TEST(JudgeHosts, TwoRanksOnOneGpuFail) {
  auto facts = four_gpus();
  facts[1].gpu = facts[0].gpu;
  const Rung rung = judge_hosts(facts);
  EXPECT_EQ(rung.verdict, Verdict::Failed);
  EXPECT_THAT(rung.findings, ElementsAre(AllOf(HasSubstr("rank 1 on host n1 would share"),
                                               HasSubstr("with rank 0"))));
}

TEST(JudgeHosts, MoreThreadsThanCoresAreAWarning) {
  auto facts = four_ranks();
  facts[2].threads = facts[3].threads = 3;
  const Rung rung = judge_hosts(facts);
  EXPECT_EQ(rung.verdict, Verdict::Warn);
  EXPECT_THAT(rung.findings, ElementsAre(HasSubstr("n2: ranks 2-3 compute with 6 threads on 4")));
}

TEST(JudgeHosts, UnequalHostsAreAWarning) {
  auto facts = four_ranks();
  facts[2].host = "n3";
  EXPECT_EQ(judge_hosts(facts).verdict, Verdict::Warn);
}

TEST(JudgeVersions, TheOddRankIsNamedWithBothVersions) {
  auto facts = four_ranks();
  EXPECT_EQ(judge_versions(facts).verdict, Verdict::Ok);
  facts[2].versions["torch"] = "2.10";
  const Rung rung = judge_versions(facts);
  EXPECT_EQ(rung.verdict, Verdict::Failed);
  EXPECT_THAT(rung.findings, ElementsAre("rank 2 on host n2: torch 2.10, others 2.11"));
}

TEST(JudgeVersions, WhenRankZeroIsTheOddOneItIsNamed) {
  auto facts = four_ranks();
  facts[0].versions["homolog"] = "0.9";
  EXPECT_THAT(judge_versions(facts).findings,
              ElementsAre("rank 0 on host n1: homolog 0.9, others 1.0"));
}

TEST(JudgeVersions, ALibraryThatOneRankLacksIsADifference) {
  auto facts = four_ranks();
  facts[3].versions.erase("torch");
  EXPECT_THAT(judge_versions(facts).findings,
              ElementsAre("rank 3 on host n2: torch none, others 2.11"));
}

TEST(JudgeOpenFiles, TheStoresShardsCount) {
  auto facts = four_ranks();
  EXPECT_EQ(judge_open_files(facts, 1000).verdict, Verdict::Ok);
  facts[1].open_files = 1024;
  EXPECT_EQ(judge_open_files(facts, 100).verdict, Verdict::Warn);
  const Rung rung = judge_open_files(facts, 1000);
  EXPECT_EQ(rung.verdict, Verdict::Failed);
  EXPECT_THAT(rung.findings, ElementsAre(HasSubstr("rank 1 on host n1 may open 1024 files")));
  facts[1].open_files = 0;  // no limit
  EXPECT_EQ(judge_open_files(facts, 1000).verdict, Verdict::Ok);
}

TEST(JudgeSharedMemory, AContainersUsual64MiBAreTooLittleForTwoGpus) {
  auto facts = four_gpus();
  facts[2].shm_free = facts[3].shm_free = std::uint64_t{64} << 20;
  const Rung rung = judge_shared_memory(facts);
  EXPECT_EQ(rung.verdict, Verdict::Failed);
  EXPECT_THAT(rung.findings, ElementsAre(HasSubstr("n2: 64.0 MiB free")));
  EXPECT_THAT(rung.remedy, HasSubstr("--shm-size"));
}

TEST(JudgeTimeSkew, AClockAMinuteOffFailsASecondWarns) {
  auto measured = figures("skew_s", {0, 1e-4, -2.5, 0});
  Rung rung = judge_time_skew(four_ranks(), measured);
  EXPECT_EQ(rung.verdict, Verdict::Warn);
  EXPECT_THAT(rung.findings, ElementsAre(AllOf(HasSubstr("rank 2"), HasSubstr("2.50 s behind"))));
  measured[1].numbers["skew_s"] = 90;
  EXPECT_EQ(judge_time_skew(four_ranks(), measured).verdict, Verdict::Failed);
}

TEST(JudgeAllReduce, BusBandwidthIsThatOfNcclTests) {
  std::vector<Measured> all(4);
  for (Measured& m : all) m.numbers = {{"small_s", 2e-5}, {"large_s", 1e-3}, {"large_bytes", 1e6}};
  const Rung rung = judge_all_reduce("host all-reduce", four_ranks(), all);
  EXPECT_DOUBLE_EQ(rung.figures.back().per_rank[0], 1.5);  // 2 * 3 / 4 * 1 MB in 1 ms
  EXPECT_THAT(rung.measured, HasSubstr("1.50 GB/s"));
}

TEST(JudgeGemm, ASlowRankWarnsAndOneBelowHalfFails) {
  Rung rung = judge_gemm(four_ranks(), figures("gflops", {50, 51, 40, 50}));
  EXPECT_EQ(rung.verdict, Verdict::Warn);
  EXPECT_THAT(rung.findings, ElementsAre(AllOf(HasSubstr("rank 2 on host n2 is slow: 40.0 GFLOP/s"),
                                               HasSubstr("others' median is 50.0 GFLOP/s"))));
  rung = judge_gemm(four_ranks(), figures("gflops", {50, 51, 20, 50}));
  EXPECT_EQ(rung.verdict, Verdict::Failed);
}

TEST(JudgeGemm, ARankThatCouldNotMeasureFailsTheRungByName) {
  auto all = figures("gflops", {50, 51, 50, 50});
  all[1] = {"CUDA out of memory", {}};
  const Rung rung = judge_gemm(four_ranks(), all);
  EXPECT_EQ(rung.verdict, Verdict::Failed);
  EXPECT_THAT(rung.findings, ElementsAre("rank 1 on host n1: CUDA out of memory"));
}

TEST(JudgeClocks, NothingToldIsNotMeasured) {
  EXPECT_EQ(judge_clocks(four_ranks(), std::vector<Measured>(4)).verdict, Verdict::NotMeasured);
}

TEST(JudgeClocks, AThrottledGpuAndALowClockAreWarnings) {
  std::vector<Measured> all(4);
  for (Measured& m : all) m.numbers = {{"gpu_mhz", 1900}, {"gpu_max_mhz", 1980}};
  EXPECT_EQ(judge_clocks(four_gpus(), all).verdict, Verdict::Ok);
  all[3].words["throttled"] = "power brake";
  Rung rung = judge_clocks(four_gpus(), all);
  EXPECT_EQ(rung.verdict, Verdict::Warn);
  EXPECT_THAT(rung.findings, ElementsAre(HasSubstr("rank 3 on host n2: GPU holds back")));
}

TEST(JudgeDisk, OneRankAHostMeasuresAndOneThatCannotFails) {
  std::vector<Measured> all(4);
  all[0].numbers = all[2].numbers = {{"write_bps", 2e8}, {"read_bps", 9e8}};
  Rung rung = judge_disk("disk of runs", "/data", four_ranks(), all);
  EXPECT_EQ(rung.verdict, Verdict::Ok);
  EXPECT_THAT(rung.measured, AllOf(HasSubstr("/data"), HasSubstr("200 MB/s")));
  all[2] = {"cannot write in /data: Read-only file system", {}};
  rung = judge_disk("disk of runs", "/data", four_ranks(), all);
  EXPECT_EQ(rung.verdict, Verdict::Failed);
  EXPECT_THAT(rung.findings,
              ElementsAre(AllOf(HasSubstr("rank 2 on host n2"), HasSubstr("Read-only"))));
}

TEST(Rung, KeepsTheWorstVerdictAndItsRemedy) {
  Rung rung{.name = "x", .measured = "", .findings = {}, .remedy = {}};
  rung.find(Verdict::Warn, "a", "mend a");
  rung.find(Verdict::Failed, "b", "mend b");
  rung.find(Verdict::Warn, "c", "mend c");
  EXPECT_EQ(rung.verdict, Verdict::Failed);
  EXPECT_EQ(rung.remedy, "mend b");
  EXPECT_EQ(worst({not_measured("y", ""), rung}), Verdict::Failed);
  EXPECT_EQ(worst({not_measured("y", "")}), Verdict::Ok);
}

TEST(Rung, TheSummaryNamesTheRungThatFailed) {
  Rung failed{.name = "GEMM", .measured = "", .findings = {}, .remedy = {}};
  failed.find(Verdict::Failed, "slow", "mend");
  Rung warned{.name = "clocks", .measured = "", .findings = {}, .remedy = {}};
  warned.find(Verdict::Warn, "low", "mend");
  EXPECT_EQ(summary_of({failed, warned}), "not fit to train: 1 rung failed (GEMM), 1 warning");
  EXPECT_EQ(summary_of({warned, not_measured("x", "")}), "fit to train, 1 warning");
  EXPECT_EQ(summary_of({}), "fit to train");
}

TEST(Rung, JsonHoldsEveryRungAndNullWhereARankDidNotMeasure) {
  std::vector<Measured> all(2);
  all[0].numbers = {{"write_bps", 2e8}, {"read_bps", 9e8}};
  const auto facts = four_ranks();
  const Rung rung = judge_disk("disk", "/\xff", std::span(facts).first(2), all);
  const auto json =
      nlohmann::json::parse(json_of({rung, not_measured("NCCL", "no GPU")}, {"n1", "n1"}));
  EXPECT_EQ(json["verdict"], "ok");
  EXPECT_EQ(json["world"], 2);
  EXPECT_EQ(json["rungs"][1]["verdict"], "not measured");
  EXPECT_EQ(json["rungs"][0]["figures"][0]["per_rank"][0], 200.0);
  EXPECT_TRUE(json["rungs"][0]["figures"][0]["per_rank"][1].is_null());
}

TEST(RankFacts, SurviveTheWayToTheOtherRanks) {
  RankFacts facts = four_gpus()[3];
  const RankFacts back = facts_from_text(to_text(facts));
  EXPECT_EQ(back.host, facts.host);
  EXPECT_EQ(back.cpus, facts.cpus);
  EXPECT_EQ(back.gpu, facts.gpu);
  EXPECT_EQ(back.versions, facts.versions);
  EXPECT_EQ(back.shm_free, facts.shm_free);
  const Measured measured = measured_from_text(to_text(Measured{"oh \xff", {{"x", 0.1}}}));
  EXPECT_EQ(measured.number("x"), 0.1);
  EXPECT_THAT(measured.error, HasSubstr("oh "));
}

}  // namespace
}  // namespace homolog::doctor
