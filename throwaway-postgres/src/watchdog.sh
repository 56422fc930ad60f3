# Waits for its standard input to end, stops the process of the pid file, and removes the folder.
folder=$1 pid_file=$2
while read -r line; do :; done

# The pid, if it is still this server's: its command line names the folder, and that of a zombie is empty.
alive() {
    pid=$(head -n 1 "$pid_file" 2>/dev/null) && [ -n "$pid" ] &&
        tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$folder"
}

# SIGQUIT is PostgreSQL's immediate stop, and pgbouncer dies of it. A stopped process takes it once it continues.
# The server is asked again, for it might not have written its pid at first; at last it is killed.
tries=0
while alive && [ "$tries" -lt 200 ]; do
    signal=QUIT
    [ "$tries" -lt 100 ] || signal=KILL
    kill -s "$signal" "$pid" 2>/dev/null
    kill -s CONT "$pid" 2>/dev/null
    sleep 0.05
    tries=$((tries + 1))
done

# Whoever is still writing there can make it fail, or make a folder anew.
tries=0
while [ -e "$folder" ] && [ "$tries" -lt 100 ]; do
    rm -rf -- "$folder" 2>/dev/null
    [ ! -e "$folder" ] || sleep 0.05
    tries=$((tries + 1))
done
