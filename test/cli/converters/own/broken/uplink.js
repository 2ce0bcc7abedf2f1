var m = decodeToJson(payload); return [m, metadata];
