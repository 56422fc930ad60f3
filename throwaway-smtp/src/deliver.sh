# Delivers what comes on standard input into the maildir of $2, below the folder $1.
box=$1/mail/$2
mkdir -p "$box/tmp" "$box/new"
name=$(date +%s%N).$$
cat >"$box/tmp/$name" && mv "$box/tmp/$name" "$box/new/$name"
