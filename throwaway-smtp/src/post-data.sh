#!/bin/sh
# After the mail and before the answer: puts off as many mails as is written in the file, or refuses them.
cat >/dev/null
left=$(cat "FOLDER/put-off" 2>/dev/null || echo 0)
if [ "$left" -gt 0 ]; then
    echo $((left - 1)) >"FOLDER/put-off"
    echo "greylisted, please try again later"
    exit 75
fi
if [ -e "FOLDER/refuse" ]; then
    echo "spam detected"
    exit 20
fi
