#!/bin/busybox sh
# The first process of a machine that proves one kernel: what it found goes to the second serial port as an archive.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
stty raw -F /dev/ttyS1
cd /found
sockreel doctor --json > doctor.jsonl 2> doctor.err
sockreel trace --sched --peek --stacks --json --check off -o trace.jsonl --record trace.reel -- core-proof log.jsonl 2> trace.err
echo $? > trace.code
sockreel trace --json --check off -o rings.jsonl -- uring-server rings.json 2> rings.err
echo $? > rings.code
sockreel trace --peek --json --check off -o spoken.jsonl -- speaker spoken.json 2> spoken.err
echo $? > spoken.code
# Stacks are told of what only grows, which shows after some seconds: that of each of two threads.
stacks stacks.log &
forgets=$!
sockreel serve --stacks -p $forgets --listen 127.0.0.1:7000 --record stacks.reel > stacks.out 2> stacks.err &
serve=$!
for _ in $(seq 60); do
    sleep 1
    sockreel leaks --from "$(grep -oh 'http://[^ ]*' stacks.out stacks.err)" --json > leaks.json 2> leaks.err
    test "$(grep -o '"frames"' leaks.json | wc -l)" = 2 && break
done
kill -INT $serve
wait $serve
echo $? > stacks.code
kill $forgets
# A limit of the whole machine: only here. The last files but a few are for whoever is not root.
most=$(cat /proc/sys/fs/file-max)
echo 600 > /proc/sys/fs/file-max
sockreel trace --sched --json --check 1s -o files.jsonl -- core-proof files.log.jsonl files 2> files.err
echo $? > files.code
echo "$most" > /proc/sys/fs/file-max
tr '\0' '\n' < /sys/kernel/btf/vmlinux | grep '^btf_trace_' > tracepoints
tar c . > /dev/ttyS1
poweroff -f
