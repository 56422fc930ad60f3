# Runs a server until standard input ends, which it does when the process that started this one ends, however it does.
# Then the folder goes, unless the server is to be started again in it.
folder=$1
shift
"$@" >>"$folder/output" 2>&1 &
server=$!
cat >/dev/null
kill -KILL "$server" 2>/dev/null
wait "$server" 2>/dev/null
if [ -e "$folder/keep" ]; then rm -f "$folder/keep"; else rm -rf "$folder"; fi
