# R counts the machine's cores. A server has MC_CORES of them, where that is set.
if (nzchar(Sys.getenv("MC_CORES"))) setHook(packageEvent("parallel", "onLoad"), function(...) {
    parallel <- asNamespace("parallel")
    unlockBinding("detectCores", parallel)
    assign("detectCores", function(all.tests = FALSE, logical = TRUE) as.integer(Sys.getenv("MC_CORES")), parallel)
    lockBinding("detectCores", parallel)
})
