-- wrk: requests with a body of 1 MiB.
wrk.method = "POST"
wrk.body = string.rep("x", 1024 * 1024)
